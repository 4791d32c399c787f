namespace RlhfFunctions.Ml.Rewards;

/// <summary>
/// 1 − different n-grams of words / all n-grams (Welleck et al., arXiv:1908.04319, "seq-rep-n"): the share that occurred before, from 0
/// to 1, and 0 of a response of fewer than n words.
/// </summary>
/// <param name="nGram">n, at least 1.</param>
public sealed class RepetitionReward(int nGram) : ITextReward
{
    public IReadOnlyList<TextScore> Score(IReadOnlyList<PromptedResponse> responses, CancellationToken cancellationToken) =>
        [.. responses.Select(item => new TextScore((float)Share(Words.Of(item.Response))))];

    private double Share(string[] words)
    {
        var all = words.Length - nGram + 1;
        if (all <= 0)
            return 0;
        var different = Enumerable.Range(0, all).Select(start => string.Join(' ', words, start, nGram)).Distinct().Count();
        return 1 - (different / (double)all);
    }
}
