using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Ml.Text;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Rewards;

/// <summary>
/// A classifier's logit of one label, of the response alone. The label is picked by name: picking the highest logit, as the
/// original notebook does, rewards a text the more the surer the classifier is that it is hateful. Holds no state between calls,
/// so several threads may share one.
/// </summary>
public sealed class ClassifierReward : ITextReward
{
    private const int BatchSize = 64;

    private readonly RobertaForSequenceClassification _model;
    private readonly RobertaText _text;
    private readonly int _label;
    private readonly int _hateLabel;

    private ClassifierReward(RobertaForSequenceClassification model, RobertaText text, int label, int hateLabel) =>
        (_model, _text, _label, _hateLabel) = (model, text, label, hateLabel);

    /// <summary>Loads a classifier and its tokenizer.</summary>
    /// <param name="folder">A Hugging Face folder: config.json, model.safetensors, vocab.json, merges.txt.</param>
    /// <param name="label">The label whose logit is the score.</param>
    /// <param name="hateLabel">The label whose probability is reported.</param>
    /// <param name="device">Where it computes.</param>
    /// <exception cref="ArgumentException">The classifier has no such label; the message names those it has.</exception>
    public static ClassifierReward Load(string folder, string label, string hateLabel, Device device)
    {
        var labels = RobertaConfig.Load(folder).Labels;
        var (labelId, hateLabelId) = (IdOf(label), IdOf(hateLabel));
        return new(RobertaForSequenceClassification.Load(folder, device), RobertaText.FromFolder(folder), labelId, hateLabelId);

        int IdOf(string name) => labels.Any(known => known.Value == name)
            ? labels.First(known => known.Value == name).Key
            : throw new ArgumentException($"The classifier in {folder} has no label \"{name}\". It has: {string.Join(", ", labels.Values)}.");
    }

    /// <summary>
    /// Scores texts. A blank one says nothing a classifier could judge, and must not be a way to please it: it gets the lowest
    /// of its logits.
    /// </summary>
    public IReadOnlyList<TextScore> Score(IReadOnlyList<string> texts, CancellationToken cancellationToken)
    {
        using var evaluation = no_grad();
        var scores = new List<TextScore>(texts.Count);
        foreach (var batch in texts.Chunk(BatchSize))
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var logits = Logits(batch); // [b, labels]
            var chosen = Numbers(logits.select(1, _label)); // [b]
            var lowest = Numbers(logits.amin([1])); // [b]
            var hate = Numbers(nn.functional.softmax(logits, -1).select(1, _hateLabel)); // [b]
            for (var i = 0; i < batch.Length; i++)
                scores.Add(new(string.IsNullOrWhiteSpace(batch[i]) ? lowest[i] : chosen[i], hate[i]));
        }
        return scores;

        static float[] Numbers(Tensor column) => column.cpu().data<float>().ToArray();
    }

    private Tensor Logits(string[] texts)
    {
        var maxLength = Math.Min(_text.MaxLength, _model.Config.MaxLength);
        var rows = Array.ConvertAll(texts, text => _text.Encode(text, maxLength));
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
}
