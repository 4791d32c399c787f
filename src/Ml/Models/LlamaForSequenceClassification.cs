using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Foundations;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>
/// A Llama that scores a text by the state of its last token, as transformers' class of the same name does in evaluation mode: what
/// most published reward models are. Shapes: B texts, T tokens.
/// </summary>
public sealed class LlamaForSequenceClassification : nn.Module
{
    internal const string ScoreName = "score.weight";

    [ComponentName(Name = "model")]
    private readonly LlamaDecoder _decoder;

    [ComponentName(Name = "score")]
    private readonly LinearLayer _score;

    private LlamaForSequenceClassification(LlamaConfig config, IReadOnlyDictionary<int, string> labels, WeightSource weights)
        : base(nameof(LlamaForSequenceClassification))
    {
        (Config, Labels, Device) = (config, labels, weights.Device);
        _decoder = new LlamaDecoder(config, weights);
        _score = weights.Linear("score", config.HiddenSize, labels.Count, false, canBeQuantized: false);
        RegisterComponents();
    }

    public LlamaConfig Config { get; }

    /// <summary>What each output stands for, by its index.</summary>
    public IReadOnlyDictionary<int, string> Labels { get; }

    /// <summary>Where the weights are.</summary>
    public Device Device { get; }

    /// <summary>Loads a model folder as transformers saves it, in float32; the weights are frozen.</summary>
    /// <exception cref="InvalidDataException">A file is missing, damaged or a pickle, or the weights do not fit the configuration.</exception>
    public static LlamaForSequenceClassification Load(string folder, Device? device = null)
    {
        using var files = HuggingFaceFolder.Open(folder);
        var weights = new FolderWeights(files, ModelPrecision.Float32, device ?? CPU);
        var model = new LlamaForSequenceClassification(LlamaConfig.Load(folder), ReadLabels(files.Config()), weights);
        try
        {
            weights.Finish(_ => false);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>The labels of a Llama classifier's configuration.</summary>
    /// <exception cref="InvalidDataException">The configuration is not a Llama's, or has something this code does not compute.</exception>
    public static IReadOnlyDictionary<int, string> ReadLabels(ConfigFile config)
    {
        LlamaConfig.Read(config);
        return RobertaConfig.ReadLabels(config);
    }

    /// <summary>The scores of the labels, neither normalised nor sorted.</summary>
    /// <param name="inputIds">[B, T] int64, padded on the right.</param>
    /// <param name="lastPlaces">Where each text's last token stands in the flattened [B · T]. [B] int64</param>
    /// <returns>[B, labels] float32</returns>
    public Tensor Logits(Tensor inputIds, Tensor lastPlaces)
    {
        Expect.Shape(inputIds, [Expect.Any, Expect.Any]);
        Expect.Shape(lastPlaces, [inputIds.shape[0]]);
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(_score.forward(_decoder.HiddenAt(inputIds, lastPlaces).squeeze(1)));
    }
}
