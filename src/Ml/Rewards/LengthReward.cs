namespace RlhfFunctions.Ml.Rewards;

/// <summary>
/// How far the response's number of words n lies outside a range: max(minWords − n, n − maxWords, 0) / maxWords. 0 inside the range, 1
/// at twice its upper end.
/// </summary>
/// <param name="minWords">The fewest words that cost nothing.</param>
/// <param name="maxWords">The most words that cost nothing, at least 1.</param>
public sealed class LengthReward(int minWords, int maxWords) : ITextReward
{
    public IReadOnlyList<TextScore> Score(IReadOnlyList<PromptedResponse> responses, CancellationToken cancellationToken) =>
        [.. responses.Select(item => new TextScore(Outside(Words.Of(item.Response).Length) / (float)maxWords))];

    private int Outside(int count) => Math.Max(0, Math.Max(minWords - count, count - maxWords));
}
