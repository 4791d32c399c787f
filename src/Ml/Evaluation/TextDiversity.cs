namespace RlhfFunctions.Ml.Evaluation;

/// <summary>Whether a model still says different things: a policy that has found one safe sentence scores low here.</summary>
public static class TextDiversity
{
    /// <summary>
    /// Distinct n-grams divided by all n-grams of the texts together (Li et al. 2016), from 0 to 1; words are what white space separates.
    /// 0 where no text has n words.
    /// </summary>
    public static double DistinctNGrams(IEnumerable<string> texts, int n)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(n, 1);
        var seen = new HashSet<string>();
        var total = 0;
        foreach (var text in texts)
        {
            var words = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            for (var start = 0; start + n <= words.Length; start++, total++)
                seen.Add(string.Join(' ', words, start, n));
        }
        return total == 0 ? 0 : seen.Count / (double)total;
    }

    /// <summary>Different texts divided by texts, from 0 to 1; 0 where there are none.</summary>
    public static double DistinctTexts(IReadOnlyCollection<string> texts) =>
        texts.Count == 0 ? 0 : texts.Distinct().Count() / (double)texts.Count;
}
