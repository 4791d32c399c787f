namespace RlhfFunctions.Ml.Rewards;

/// <summary>
/// Words of the response that belong to an entry of a list, divided by all its words: from 0 to 1, and 0 of a response without words.
/// An entry is a word or a phrase; it is found as whole words, whatever their case and whatever stands between them.
/// </summary>
public sealed class WordListReward : ITextReward
{
    private readonly ILookup<string, string[]> _entriesByFirstWord;

    /// <param name="list">Entries of at least one word each.</param>
    /// <exception cref="ArgumentException">An entry has no word; the message names it.</exception>
    public WordListReward(IEnumerable<string> list) => _entriesByFirstWord = list.Select(entry => Words.Of(entry) is { Length: > 0 } words
        ? words
        : throw new ArgumentException($"The word list has an entry without a letter or digit: \"{entry}\".")).ToLookup(words => words[0]);

    public IReadOnlyList<TextScore> Score(IReadOnlyList<PromptedResponse> responses, CancellationToken cancellationToken) =>
        [.. responses.Select(item => new TextScore((float)Share(Words.Of(item.Response))))];

    private double Share(string[] words)
    {
        var isListed = new bool[words.Length];
        for (var start = 0; start < words.Length; start++)
        {
            foreach (var entry in _entriesByFirstWord[words[start]])
            {
                if (words.AsSpan(start).StartsWith(entry))
                    isListed.AsSpan(start, entry.Length).Fill(true);
            }
        }
        return words.Length == 0 ? 0 : isListed.Count(listed => listed) / (double)words.Length;
    }
}
