using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Ml.Text;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Rewards;

/// <summary>A classifier's logit of one label, of the response alone.</summary>
public sealed class ClassifierReward : ITextReward
{
    private const int BatchSize = 64;

    private readonly RobertaForSequenceClassification _model;
    private readonly RobertaText _text;
    private readonly int _label;
    private readonly int _hateLabel;

    private ClassifierReward(RobertaForSequenceClassification model, RobertaText text, int label, int hateLabel) =>
        (_model, _text, _label, _hateLabel) = (model, text, label, hateLabel);

    public static ClassifierReward Load(string folder, string label, string hateLabel, Device device)
    {
        var model = RobertaForSequenceClassification.Load(folder, device);
        return new(model, RobertaText.FromFolder(folder), IdOf(label), IdOf(hateLabel));

        int IdOf(string name) => model.Config.Labels.Where(known => known.Value == name).Select(known => (int?)known.Key).SingleOrDefault()
            ?? throw new ArgumentException($"{folder} has no label \"{name}\"; its labels are {string.Join(", ", model.Config.Labels.Values)}.");
    }

    public IReadOnlyList<TextScore> Score(IReadOnlyList<string> texts, CancellationToken cancellationToken)
    {
        var scores = new List<TextScore>();
        using var evaluation = no_grad();
        foreach (var batch in texts.Chunk(BatchSize))
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var rows = batch.Select(text => _text.Encode(text, Math.Min(_text.MaxLength, _model.Config.MaxLength))).ToArray();
            var width = rows.Max(row => row.Length);
            var ids = rows.SelectMany(row => row.Concat(Enumerable.Repeat(_text.PadId, width - row.Length))).Select(id => (long)id).ToArray();
            var inputIds = tensor(ids, rows.Length, width, device: _model.Device); // [b, T]
            var isRealToken = tensor(rows.SelectMany(row => Enumerable.Range(0, width).Select(t => t < row.Length)).ToArray(), rows.Length, width, device: _model.Device); // [b, T]
            var logits = _model.Logits(inputIds, isRealToken); // [b, labels]
            var hate = nn.functional.softmax(logits, -1).select(1, _hateLabel).cpu().data<float>().ToArray();
            var score = logits.select(1, _label).cpu().data<float>().ToArray();
            for (var i = 0; i < batch.Length; i++)
                scores.Add(new(score[i], hate[i]));
        }
        return scores;
    }
}
