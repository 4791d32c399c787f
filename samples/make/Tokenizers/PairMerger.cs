namespace RlhfFunctions.Samples.Make.Tokenizers;

/// <summary>One merge of byte-pair encoding: the two pieces become one.</summary>
public readonly record struct Merge(string Left, string Right)
{
    public string Piece => Left + Right;
}

/// <summary>
/// The heart of both tokenizers: again and again join the most frequent neighbours. Recounting everything at every merge
/// would do for a few thousand different words; keeping the counts up to date takes ten more lines and a tenth of the time.
/// </summary>
public static class PairMerger
{
    /// <param name="words">Each different word as its symbols, with how often it occurs. Merges never cross a word's border.</param>
    /// <param name="pieces">How many new pieces are wanted; fewer come back when no pair occurs twice.</param>
    /// <returns>The merges, first the most frequent. A piece that two different merges make is counted, and returned, once.</returns>
    public static IReadOnlyList<Merge> Learn(IEnumerable<(IReadOnlyList<string> Symbols, int Count)> words, int pieces)
    {
        var texts = words.Select(w => (Symbols: w.Symbols.ToList(), w.Count)).ToList();
        var counts = new Dictionary<Merge, int>();
        var homes = new Dictionary<Merge, HashSet<int>>();
        for (var i = 0; i < texts.Count; i++)
            Count(i, +1);

        var merges = new List<Merge>();
        var made = new HashSet<string>();
        while (made.Count < pieces && MostFrequent(counts) is { } best)
        {
            if (made.Add(best.Piece))
                merges.Add(best);
            foreach (var i in homes[best].ToArray())
            {
                Count(i, -1);
                Join(texts[i].Symbols, best);
                Count(i, +1);
            }
        }
        return merges;

        void Count(int word, int sign)
        {
            var (symbols, count) = texts[word];
            for (var at = 0; at + 1 < symbols.Count; at++)
            {
                var pair = new Merge(symbols[at], symbols[at + 1]);
                counts[pair] = counts.GetValueOrDefault(pair) + sign * count;
                if (!homes.TryGetValue(pair, out var home))
                    homes[pair] = home = [];
                if (sign > 0)
                    home.Add(word);
                else
                    home.Remove(word);
            }
        }
    }

    private static Merge? MostFrequent(Dictionary<Merge, int> counts)
    {
        (Merge Pair, int Count)? best = null;
        foreach (var (pair, count) in counts)
            if (count >= 2 && (best is not { } b || count > b.Count || (count == b.Count && Compare(pair, b.Pair) < 0)))
                best = (pair, count);
        return best?.Pair;
    }

    /// <summary>Equal counts are common; an order of our own keeps the result the same whatever order the dictionary has.</summary>
    private static int Compare(Merge a, Merge b) =>
        string.CompareOrdinal(a.Left, b.Left) is not 0 and var left ? left : string.CompareOrdinal(a.Right, b.Right);

    private static void Join(List<string> symbols, Merge merge)
    {
        for (var at = 0; at + 1 < symbols.Count; at++)
        {
            if (symbols[at] != merge.Left || symbols[at + 1] != merge.Right)
                continue;
            symbols[at] = merge.Piece;
            symbols.RemoveAt(at + 1);
        }
    }
}
