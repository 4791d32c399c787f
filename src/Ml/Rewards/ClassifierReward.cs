using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Rewards;

/// <summary>
/// What a classifier says of one label. The label is picked by name: picking the highest logit, as the original notebook does,
/// rewards a text the more the surer the classifier is of whatever it finds, insults too.
/// </summary>
public sealed class ClassifierReward : ITextReward
{
    private const int BatchSize = 64;

    private readonly TextClassifier _classifier;
    private readonly int _label;
    private readonly int? _judgedLabel;
    private readonly ClassifierValue _value;
    private readonly ClassifierText _reads;
    private readonly bool _isPunished;

    /// <param name="classifier">Shared, not owned.</param>
    /// <param name="label">The rewarded label.</param>
    /// <param name="judgedLabel">The label whose probability is reported; null, or a model of mere scores: none is.</param>
    /// <param name="value">What is made of the logits.</param>
    /// <param name="reads">What the classifier reads.</param>
    /// <param name="isPunished">Whether the value is taken off the reward, so that a high one is a bad one.</param>
    /// <exception cref="ArgumentException">The classifier has no such label or value; the message names the labels it has.</exception>
    public ClassifierReward(
        TextClassifier classifier, string label, string? judgedLabel = null, ClassifierValue value = ClassifierValue.Logit,
        ClassifierText reads = ClassifierText.Response, bool isPunished = false)
    {
        if (ProblemWith(value, classifier.Rule) is { } problem)
            throw new ArgumentException(problem);
        if (reads == ClassifierText.QueryAndResponse && !classifier.ReadsPrompts)
            throw new ArgumentException("A Llama reward reads the response alone: leave \"text\" away.");
        int? judged = judgedLabel is null || classifier.Rule == LabelRule.Scores ? null : classifier.IdOf(judgedLabel);
        (_classifier, _label, _judgedLabel, _value, _reads, _isPunished) = (classifier, classifier.IdOf(label), judged, value, reads, isPunished);
    }

    /// <summary>Why a value cannot be had of a classifier, or null.</summary>
    public static string? ProblemWith(ClassifierValue value, LabelRule rule) => rule == LabelRule.Scores && value != ClassifierValue.Logit
        ? $"A classifier whose outputs are scores has no {(value == ClassifierValue.Difference ? "difference of logits" : "probability")}: ask for its logit."
        : null;

    /// <summary>
    /// Scores responses. A broken one (<see cref="BrokenText"/>) says nothing a classifier could judge, and must not be a way to
    /// please it: it gets the worst value of all labels, which is the highest where that is punished.
    /// </summary>
    public IReadOnlyList<TextScore> Score(IReadOnlyList<PromptedResponse> responses, CancellationToken cancellationToken)
    {
        using var stage = Stage.Begin("classify");
        using var evaluation = no_grad();
        var scores = new TextScore[responses.Count];
        // Texts of about one length together: a batch is computed as wide as its longest.
        foreach (var batch in Enumerable.Range(0, responses.Count).OrderBy(i => Length(responses[i])).Chunk(BatchSize))
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var logits = _classifier.Logits(Array.ConvertAll(batch, i => Read(responses[i]))); // [b, labels]
            var isEach = _classifier.Rule == LabelRule.EachByItself;
            var probabilities = isEach ? logits.sigmoid() : nn.functional.softmax(logits, -1); // [b, labels]
            var values = Values(logits, probabilities); // [b, labels]
            var chosen = values.select(1, _label); // [b]
            var sides = !isEach ? values : stack([chosen, _value == ClassifierValue.Probability ? 1 - chosen : -chosen], 1); // a label by itself is there or not
            var worst = Numbers(_isPunished ? sides.amax([1]) : sides.amin([1])); // [b]
            var own = Numbers(chosen); // [b]
            var judged = _judgedLabel is { } label ? Numbers(probabilities.select(1, label)) : null; // [b]
            for (var i = 0; i < batch.Length; i++)
                scores[batch[i]] = new(BrokenText.Is(responses[batch[i]].Response) ? worst[i] : own[i], judged?[i]);
        }
        return scores;

        static float[] Numbers(Tensor column) => column.cpu().data<float>().ToArray();
    }

    private int Length(PromptedResponse item)
    {
        var (prompt, response) = Read(item);
        return prompt.Length + response.Length;
    }

    private (string Prompt, string Response) Read(PromptedResponse item) => _reads switch
    {
        ClassifierText.Response => ("", item.Response),
        ClassifierText.QueryAndResponse => (item.Prompt, item.ResponseVerbatim),
        _ => throw new NotSupportedException($"A classifier cannot read {_reads}."),
    };

    private Tensor Values(Tensor logits, Tensor probabilities) => _value switch
    {
        ClassifierValue.Logit => logits,
        ClassifierValue.Probability => probabilities,
        ClassifierValue.Difference => _classifier.Rule == LabelRule.EachByItself ? logits : LogOdds(logits),
        _ => throw new NotSupportedException($"{_value} of a classifier's logits is not known."),
    };

    /// <summary>l_k − log Σ_{j≠k} exp l_j of every label k. [b, labels] → [b, labels]</summary>
    private static Tensor LogOdds(Tensor logits)
    {
        var isSelf = eye(logits.shape[1], dtype: ScalarType.Bool, device: logits.device); // [labels, labels]
        var others = logits.unsqueeze(1).masked_fill(isSelf, double.NegativeInfinity); // [b, labels, labels]
        return logits - others.logsumexp(2);
    }
}
