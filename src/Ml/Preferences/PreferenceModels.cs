using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Rewards;
using RlhfFunctions.Ml.Text;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Preferences;

/// <summary>A reward model in training: texts → ids → scores, and what of it is trained.</summary>
public interface IPreferenceModel : IDisposable
{
    /// <summary>All that is trained, by name, in a fixed order.</summary>
    IReadOnlyList<KeyValuePair<string, Parameter>> Parameters { get; }

    /// <summary>A response as the model reads it.</summary>
    int[] Encode(string response);

    /// <summary>Scores of rows of ids, with gradients unless the caller switched them off. [B] float32</summary>
    Tensor Scores(IReadOnlyList<int[]> rows);

    /// <summary>The model as a Hugging Face folder's config.json and model.safetensors; its tokenizer is the base's.</summary>
    IReadOnlyDictionary<string, byte[]> ToFolder();
}

/// <summary>Opens the body of a reward model.</summary>
public static class PreferenceModels
{
    /// <summary>The one label of a reward model, under which a run asks for its score.</summary>
    public const string Label = "better";

    internal static IReadOnlyDictionary<int, string> Labels { get; } = new Dictionary<int, string> { [0] = Label };

    /// <summary>A fresh scalar head on a model: a language model of the Llama family, or a RoBERTa whose own head is put away.</summary>
    /// <exception cref="InvalidDataException">The folder holds neither; the message says what is wrong.</exception>
    public static IPreferenceModel Open(string folder, LoraSettings lora, ulong seed)
    {
        var kind = Artifacts.ConfigFile.Open(Path.Combine(folder, ModelFolder.ConfigFile)).Text("model_type");
        return kind switch
        {
            "llama" => new LlamaPreferenceModel(folder, lora, seed),
            "roberta" => new RobertaPreferenceModel(WithFreshHead(folder, seed), RobertaText.FromFolder(folder)),
            _ => throw new InvalidDataException($"{folder}: a reward model starts from a llama or a roberta, not from a {kind ?? "model without model_type"}."),
        };
    }

    /// <summary>The folder's body under a head of one score, drawn from the seed.</summary>
    private static RobertaForSequenceClassification WithFreshHead(string folder, ulong seed)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var body = RobertaForSequenceClassification.Load(folder);
        var model = new RobertaForSequenceClassification(body.Config with { Labels = Labels }, Seeds.Derive(seed, "reward head"));
        var weights = body.named_parameters().ToDictionary(p => p.name, p => p.parameter);
        foreach (var (name, parameter) in model.named_parameters())
            if (name.StartsWith("roberta.", StringComparison.Ordinal))
                parameter.copy_(weights[name]);
        return model;
    }
}

/// <summary>A RoBERTa of one label, trained as a whole.</summary>
/// <param name="model">Owned.</param>
/// <param name="text">Null: rows of ids alone can be scored.</param>
public sealed class RobertaPreferenceModel(RobertaForSequenceClassification model, RobertaText? text) : IPreferenceModel
{
    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Parameter>> Parameters { get; } =
        [.. model.named_parameters().Select(p => KeyValuePair.Create(p.name, p.parameter))];

    /// <inheritdoc/>
    public int[] Encode(string response) =>
        (text ?? throw new InvalidOperationException("This model was opened without its tokenizer.")).Encode(response, model.Config.MaxLength);

    /// <inheritdoc/>
    public Tensor Scores(IReadOnlyList<int[]> rows)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(TextClassifier.RobertaLogits(model, rows, model.Config.PadId).squeeze(1));
    }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, byte[]> ToFolder() => ModelFolder.Files(model, ScalarType.Float32);

    /// <inheritdoc/>
    public void Dispose() => model.Dispose();
}

/// <summary>
/// A Llama with low-rank branches and a linear head on the mean state of the response's tokens. The body may be the policy's own:
/// whoever can write a thing can soon tell it, and a few hundred votes suffice to teach him. The last state alone, which most reward
/// models read, has to learn first to collect what the others know: with so few votes that went wrong for every second seed.
/// </summary>
public sealed class LlamaPreferenceModel : IPreferenceModel
{
    private const double HeadDeviation = 0.02;

    private readonly LlamaForCausalLm _model;
    private readonly LoraAdapter _adapter;
    private readonly LlamaText _text;
    private readonly Parameter _head; // [1, H]

    /// <exception cref="InvalidDataException">A file is missing or is not what it should be; the message names it.</exception>
    public LlamaPreferenceModel(string folder, LoraSettings lora, ulong seed)
    {
        _text = LlamaText.FromFolder(folder);
        _model = LlamaForCausalLm.Load(folder);
        _adapter = LoraAdapter.Attach(_model, lora, Seeds.Derive(seed, "reward adapter"));
        using (no_grad())
        {
            using var generator = new Generator(Seeds.Derive(seed, "reward head"), CPU);
            _head = new Parameter(randn(1, _model.Config.HiddenSize, generator: generator).mul_(HeadDeviation));
            _head.DetachFromDisposeScope();
        }
        Parameters = [.. _adapter.Parameters.Select(p => KeyValuePair.Create(p.Name, p.Parameter)), new(LlamaForSequenceClassification.ScoreName, _head)];
    }

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Parameter>> Parameters { get; }

    /// <inheritdoc/>
    public int[] Encode(string response) => TextClassifier.LlamaIds(_text, response, _model.Config.ContextLength);

    /// <inheritdoc/>
    public Tensor Scores(IReadOnlyList<int[]> rows)
    {
        using var scope = NewDisposeScope();
        var (ids, width) = TextClassifier.Pad(rows, _text.PadId);
        var pooling = TextClassifier.Pooling(rows, width, readsMean: true, CPU); // [B, T]
        var states = LlamaForSequenceClassification.Pool(_model.Hidden(tensor(ids, rows.Count, width)), pooling); // [B, H]
        return scope.MoveToOuter(nn.functional.linear(states, _head).squeeze(1));
    }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, byte[]> ToFolder()
    {
        _adapter.Merge();
        try
        {
            return ModelFolder.Files(_model, _head, PreferenceModels.Labels, ScalarType.Float32);
        }
        finally
        {
            _adapter.Unmerge();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _adapter.Dispose();
        _head.Dispose();
        _model.Dispose();
    }
}
