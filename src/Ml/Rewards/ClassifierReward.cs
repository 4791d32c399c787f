using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Rewards;

/// <summary>
/// What a classifier says of one label. The label is picked by name: picking the highest logit, as the original notebook does,
/// rewards a text the more the surer the classifier is that it is hateful.
/// </summary>
public sealed class ClassifierReward : ITextReward
{
    private const int BatchSize = 64;

    private readonly TextClassifier _classifier;
    private readonly int _label;
    private readonly int? _hateLabel;
    private readonly ClassifierValue _value;
    private readonly ClassifierText _reads;

    /// <param name="classifier">Shared, not owned.</param>
    /// <param name="label">The rewarded label.</param>
    /// <param name="hateLabel">The label whose probability is reported; a model of one label has none to report.</param>
    /// <param name="value">What is made of the logits.</param>
    /// <param name="reads">What the classifier reads.</param>
    /// <exception cref="ArgumentException">The classifier has no such label; the message names those it has.</exception>
    public ClassifierReward(
        TextClassifier classifier, string label, string hateLabel, ClassifierValue value = ClassifierValue.Logit,
        ClassifierText reads = ClassifierText.Response)
    {
        if (value == ClassifierValue.Difference && classifier.LabelCount < 2)
            throw new ArgumentException("A classifier of a single label has no difference of logits: ask for its logit.");
        if (reads == ClassifierText.QueryAndResponse && !classifier.ReadsPrompts)
            throw new ArgumentException("A Llama reward reads the response alone: leave \"text\" away.");
        int? hate = classifier.LabelCount == 1 ? null : classifier.IdOf(hateLabel);
        (_classifier, _label, _hateLabel, _value, _reads) = (classifier, classifier.IdOf(label), hate, value, reads);
    }

    /// <summary>
    /// Scores responses. A broken one (<see cref="BrokenText"/>) says nothing a classifier could judge, and must not be a way to
    /// please it: it gets the lowest value of all labels.
    /// </summary>
    public IReadOnlyList<TextScore> Score(IReadOnlyList<PromptedResponse> responses, CancellationToken cancellationToken)
    {
        using var stage = Stage.Begin("classify");
        using var evaluation = no_grad();
        var scores = new List<TextScore>(responses.Count);
        foreach (var batch in responses.Chunk(BatchSize))
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var logits = _classifier.Logits(Array.ConvertAll(batch, Read)); // [b, labels]
            var probabilities = nn.functional.softmax(logits, -1); // [b, labels]
            var values = Values(logits, probabilities); // [b, labels]
            var chosen = Numbers(values.select(1, _label)); // [b]
            var lowest = Numbers(values.amin([1])); // [b]
            var hate = _hateLabel is { } label ? Numbers(probabilities.select(1, label)) : null; // [b]
            for (var i = 0; i < batch.Length; i++)
                scores.Add(new(BrokenText.Is(batch[i].Response) ? lowest[i] : chosen[i], hate?[i]));
        }
        return scores;

        static float[] Numbers(Tensor column) => column.cpu().data<float>().ToArray();
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
        ClassifierValue.Difference => LogOdds(logits),
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
