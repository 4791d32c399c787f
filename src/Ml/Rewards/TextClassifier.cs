using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Text;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Rewards;

/// <summary>A RoBERTa classifier with its tokenizer. Holds no state between calls, so several rewards and threads may share one.</summary>
public sealed class TextClassifier : IDisposable
{
    private readonly string _folder;
    private readonly RobertaForSequenceClassification _model;
    private readonly RobertaText _text;

    private TextClassifier(string folder, RobertaForSequenceClassification model, RobertaText text) =>
        (_folder, _model, _text) = (folder, model, text);

    /// <summary>Loads a classifier.</summary>
    /// <param name="folder">A Hugging Face folder: config.json, model.safetensors, vocab.json, merges.txt.</param>
    /// <param name="device">Where it computes.</param>
    /// <exception cref="InvalidDataException">A file is missing or is not what it should be; the message names it.</exception>
    public static TextClassifier Load(string folder, Device device)
    {
        var text = RobertaText.FromFolder(folder); // first: without it no model may stay in memory
        return new(folder, RobertaForSequenceClassification.Load(folder, device), text);
    }

    /// <summary>How many labels it tells apart.</summary>
    public int LabelCount => _model.Config.Labels.Count;

    /// <summary>A label's column among the logits.</summary>
    /// <exception cref="ArgumentException">The classifier has no such label; the message names those it has.</exception>
    public int IdOf(string label) =>
        ProblemWith(label, _model.Config, _folder) is { } problem
            ? throw new ArgumentException(problem)
            : _model.Config.Labels.First(known => known.Value == label).Key;

    /// <summary>What is wrong with a label of a classifier, or null.</summary>
    /// <param name="label">The label to look for.</param>
    /// <param name="config">The classifier's configuration.</param>
    /// <param name="folder">Names the classifier in the message.</param>
    public static string? ProblemWith(string label, RobertaConfig config, string folder) => config.Labels.Values.Contains(label)
        ? null
        : $"The classifier in {folder} has no label \"{label}\". It has: {string.Join(", ", config.Labels.Values)}.";

    /// <summary>
    /// Logits of texts, each a prompt with a response behind it. What together is longer than the classifier reads loses the prompt's
    /// beginning; the response is cut, at its end, only where it is too long by itself.
    /// </summary>
    /// <param name="texts">At least one; a prompt of "" leaves the response alone.</param>
    /// <returns>[b, labels]</returns>
    public Tensor Logits(IReadOnlyList<(string Prompt, string Response)> texts)
    {
        var maxLength = Math.Min(_text.MaxLength, _model.Config.MaxLength);
        var rows = texts.Select(text => _text.EncodePair(text.Prompt, text.Response, maxLength)).ToArray();
        var width = rows.Max(row => row.Length);
        var ids = new long[rows.Length * width];
        var isReal = new bool[ids.Length];
        Array.Fill(ids, _text.PadId);
        for (var row = 0; row < rows.Length; row++)
        {
            for (var t = 0; t < rows[row].Length; t++)
                (ids[(row * width) + t], isReal[(row * width) + t]) = (rows[row][t], true);
        }
        return _model.Logits(
            tensor(ids, rows.Length, width, device: _model.Device), // [b, T]
            tensor(isReal, rows.Length, width, device: _model.Device)); // [b, T]
    }

    public void Dispose() => _model.Dispose();
}
