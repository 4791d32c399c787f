namespace RlhfFunctions.Ml.Rewards;

/// <summary>
/// Σ weight · value over its terms. Each term's own value is kept beside the sum, and the hate probability is that of the first term
/// that has one.
/// </summary>
/// <param name="terms">At least one.</param>
public sealed class WeightedReward(IReadOnlyList<(double Weight, ITextReward Reward)> terms) : ITextReward
{
    public IReadOnlyList<TextScore> Score(IReadOnlyList<PromptedResponse> responses, CancellationToken cancellationToken)
    {
        var scores = terms.Select(term => term.Reward.Score(responses, cancellationToken)).ToArray();
        return [.. responses.Select((_, i) => new TextScore(
            (float)scores.Zip(terms, (term, weighted) => weighted.Weight * term[i].Score).Sum(),
            scores.Select(term => term[i].HateProbability).FirstOrDefault(hate => hate is not null),
            [.. scores.Select(term => term[i].Score)]))];
    }
}
