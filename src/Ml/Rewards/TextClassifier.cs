using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Text;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Rewards;

/// <summary>
/// A RoBERTa or Llama classifier with its tokenizer. Holds no state between calls, so several rewards and threads may share one.
/// </summary>
public sealed class TextClassifier : IDisposable
{
    private readonly string _folder;
    private readonly IDisposable _model;
    private readonly ClassifierLabels _labels;
    private readonly Func<IReadOnlyList<(string Prompt, string Response)>, Tensor> _logits;

    private TextClassifier(
        string folder, IDisposable model, ClassifierLabels labels, bool readsPrompts,
        Func<IReadOnlyList<(string Prompt, string Response)>, Tensor> logits) =>
        (_folder, _model, _labels, ReadsPrompts, _logits) = (folder, model, labels, readsPrompts, logits);

    /// <summary>Loads a classifier.</summary>
    /// <param name="folder">
    /// A Hugging Face folder: config.json and model.safetensors, and a RoBERTa's vocab.json and merges.txt or a Llama's tokenizer.model.
    /// </param>
    /// <param name="device">Where it computes.</param>
    /// <exception cref="InvalidDataException">A file is missing or is not what it should be; the message names it.</exception>
    public static TextClassifier Load(string folder, Device device)
    {
        // The tokenizer first: without it no model may stay in memory.
        if (IsLlama(folder))
        {
            var text = LlamaText.FromFolder(folder);
            var llama = LlamaForSequenceClassification.Load(folder, device);
            return new(folder, llama, llama.Labels, readsPrompts: false, texts => Logits(llama, text, texts));
        }
        var tokenizer = RobertaText.FromFolder(folder);
        var roberta = RobertaForSequenceClassification.Load(folder, device);
        return new(folder, roberta, new(roberta.Config.Labels, roberta.Config.Rule), readsPrompts: true, texts => Logits(roberta, tokenizer, texts));
    }

    /// <summary>How many labels it tells apart. A model with one is no classifier but a scorer: its label has a score and no probability.</summary>
    public int LabelCount => _labels.Names.Count;

    /// <summary>How its logits become probabilities.</summary>
    public LabelRule Rule => _labels.Rule;

    /// <summary>Whether it can tell a label's probability.</summary>
    public bool TellsProbabilityOf(string label) => _labels.Rule != LabelRule.Scores && _labels.Names.Values.Contains(label);

    /// <summary>Whether it can read a prompt before the response; a Llama reward reads the response alone.</summary>
    public bool ReadsPrompts { get; }

    /// <summary>A label's column among the logits.</summary>
    /// <exception cref="ArgumentException">The classifier has no such label; the message names those it has.</exception>
    public int IdOf(string label) =>
        ProblemWith(label, _labels.Names, _folder) is { } problem
            ? throw new ArgumentException(problem)
            : _labels.Names.First(known => known.Value == label).Key;

    /// <summary>What a classifier's outputs are, from its config.json alone.</summary>
    /// <exception cref="InvalidDataException">The configuration is not one of a RoBERTa or Llama.</exception>
    public static ClassifierLabels LabelsOf(ConfigFile config)
    {
        if (config.Text("model_type") == "llama")
            return LlamaForSequenceClassification.ReadLabels(config);
        var roberta = RobertaConfig.Read(config);
        return new(roberta.Labels, roberta.Rule);
    }

    /// <summary>What is wrong with a label of a classifier, or null.</summary>
    /// <param name="label">The label to look for.</param>
    /// <param name="labels">The classifier's.</param>
    /// <param name="folder">Names the classifier in the message.</param>
    public static string? ProblemWith(string label, IReadOnlyDictionary<int, string> labels, string folder) => labels.Values.Contains(label)
        ? null
        : $"The classifier in {folder} has no label \"{label}\". It has: {string.Join(", ", labels.Values)}.";

    /// <summary>
    /// Logits of texts, each a prompt with a response behind it. What together is longer than the classifier reads loses the prompt's
    /// beginning; the response is cut, at its end, only where it is too long by itself.
    /// </summary>
    /// <param name="texts">At least one; a prompt of "" leaves the response alone.</param>
    /// <returns>[b, labels]</returns>
    public Tensor Logits(IReadOnlyList<(string Prompt, string Response)> texts) => _logits(texts);

    /// <summary>
    /// A response as a Llama reward reads it: the begin of text, the response, the end of text. What is too long loses its end, not the
    /// end of text.
    /// </summary>
    public static int[] LlamaIds(LlamaText text, string response, int maxLength) =>
        [.. text.Encode(response).Take(maxLength - 1), text.EosId];

    /// <summary>Rows of ids side by side, padded on the right, and each row's length.</summary>
    /// <returns>[b · T] ids in rows of T</returns>
    internal static (long[] Ids, int Width) Pad(IReadOnlyList<int[]> rows, int padId)
    {
        var width = rows.Max(row => row.Length);
        var ids = new long[rows.Count * width];
        Array.Fill(ids, padId);
        for (var row = 0; row < rows.Count; row++)
            for (var t = 0; t < rows[row].Length; t++)
                ids[(row * width) + t] = rows[row][t];
        return (ids, width);
    }

    public void Dispose() => _model.Dispose();

    internal static Tensor RobertaLogits(RobertaForSequenceClassification model, IReadOnlyList<int[]> rows, int padId)
    {
        var (ids, width) = Pad(rows, padId);
        bool[] isReal = [.. rows.SelectMany(row => Enumerable.Range(0, width).Select(t => t < row.Length))];
        return model.Logits(
            tensor(ids, rows.Count, width, device: model.Device), // [b, T]
            tensor(isReal, rows.Count, width, device: model.Device)); // [b, T]
    }

    private static Tensor Logits(RobertaForSequenceClassification model, RobertaText text, IReadOnlyList<(string Prompt, string Response)> texts)
    {
        var maxLength = Math.Min(text.MaxLength, model.Config.MaxLength);
        return RobertaLogits(model, [.. texts.Select(pair => text.EncodePair(pair.Prompt, pair.Response, maxLength))], text.PadId);
    }

    private static Tensor Logits(LlamaForSequenceClassification model, LlamaText text, IReadOnlyList<(string Prompt, string Response)> texts)
    {
        int[][] rows = [.. texts.Select(pair => LlamaIds(text, pair.Response, model.Config.ContextLength))];
        var (ids, width) = Pad(rows, text.PadId);
        return model.Logits(tensor(ids, rows.Length, width, device: model.Device), Pooling(rows, width, model.ReadsMean, model.Device));
    }

    /// <summary>What each token's state counts: all but the begin of text alike, or the last one alone. [b, T] float32</summary>
    internal static Tensor Pooling(IReadOnlyList<int[]> rows, int width, bool readsMean, Device device)
    {
        var weights = new float[rows.Count * width];
        for (var row = 0; row < rows.Count; row++)
        {
            var length = rows[row].Length;
            var first = readsMean && length > 1 ? 1 : length - 1;
            weights.AsSpan((row * width) + first, length - first).Fill(1f / (length - first));
        }
        return tensor(weights, rows.Count, width, device: device);
    }

    private static bool IsLlama(string folder) =>
        ConfigFile.Open(Path.Combine(folder, ModelFolder.ConfigFile)).Text("model_type") == "llama";
}
