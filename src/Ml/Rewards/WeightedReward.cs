namespace RlhfFunctions.Ml.Rewards;

/// <summary>
/// Σ weight · value over its terms. Each term's own value is kept beside the sum, and the judged label's probability and the disagreement of
/// an ensemble are those of the first term that has them.
/// </summary>
/// <param name="terms">At least one.</param>
public sealed class WeightedReward(IReadOnlyList<(double Weight, ITextReward Reward)> terms) : ITextReward
{
    public IReadOnlyList<TextScore> Score(IReadOnlyList<PromptedResponse> responses, CancellationToken cancellationToken)
    {
        var scores = terms.Select(term => term.Reward.Score(responses, cancellationToken)).ToArray();
        return [.. responses.Select((_, i) => new TextScore(
            (float)scores.Zip(terms, (term, weighted) => weighted.Weight * term[i].Score).Sum(),
            scores.Select(term => term[i].LabelProbability).FirstOrDefault(judged => judged is not null),
            [.. scores.Select(term => term[i].Score)],
            scores.Select(term => term[i].Disagreement).FirstOrDefault(disagreement => disagreement is not null)))];
    }
}
