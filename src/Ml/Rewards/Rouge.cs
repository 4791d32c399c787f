using System.Text.RegularExpressions;

namespace RlhfFunctions.Ml.Rewards;

/// <summary>How two texts overlap; each number from 0 to 1.</summary>
/// <param name="Precision">The share of the candidate that the reference has too.</param>
/// <param name="Recall">The share of the reference that the candidate has too.</param>
/// <param name="FMeasure">Their harmonic mean.</param>
public readonly record struct RougeScore(double Precision, double Recall, double FMeasure);

/// <summary>The three usual ROUGE scores of one text.</summary>
/// <param name="Rouge1">Overlap of words.</param>
/// <param name="Rouge2">Overlap of pairs of neighbouring words.</param>
/// <param name="RougeL">Longest common subsequence of words.</param>
public readonly record struct RougeScores(RougeScore Rouge1, RougeScore Rouge2, RougeScore RougeL);

/// <summary>
/// ROUGE (Lin 2004), equal to the Python package rouge_score 0.1.2: lower case, words of a–z and 0–9, everything else separates.
/// </summary>
public static partial class Rouge
{
    /// <summary>Scores a candidate against a reference.</summary>
    /// <param name="reference">What a human wrote.</param>
    /// <param name="candidate">What is to be judged.</param>
    /// <param name="stem">True compares word stems (Porter) instead of words, for words of more than 3 characters.</param>
    public static RougeScores Score(string reference, string candidate, bool stem = true)
    {
        var (expected, actual) = (Words(reference, stem), Words(candidate, stem));
        return new(
            NGrams(expected, actual, 1),
            NGrams(expected, actual, 2),
            Of(LongestCommonSubsequence(expected, actual), expected.Length, actual.Length));
    }

    private static string[] Words(string text, bool stem)
    {
        // Python lowers the dotted capital I to an i with a dot above it, .NET leaves it alone.
        var words = Word().Matches(text.Replace("\u0130", "i\u0307").ToLowerInvariant()).Select(match => match.Value);
        return [.. stem ? words.Select(word => word.Length > 3 ? PorterStemmer.Stem(word) : word) : words];
    }

    private static RougeScore NGrams(string[] expected, string[] actual, int n)
    {
        var available = Count(expected, n);
        var overlap = Count(actual, n).Sum(gram => Math.Min(gram.Value, available.GetValueOrDefault(gram.Key)));
        return Of(overlap, Math.Max(0, expected.Length - n + 1), Math.Max(0, actual.Length - n + 1));
    }

    private static Dictionary<string, int> Count(string[] words, int n) =>
        Enumerable.Range(0, Math.Max(0, words.Length - n + 1))
            .CountBy(start => string.Join(' ', words, start, n))
            .ToDictionary();

    private static int LongestCommonSubsequence(string[] expected, string[] actual)
    {
        var lengths = new int[actual.Length + 1]; // of the words read so far with each beginning of the candidate
        foreach (var word in expected)
        {
            var diagonal = 0;
            for (var i = 1; i <= actual.Length; i++)
                (diagonal, lengths[i]) = (lengths[i], actual[i - 1] == word ? diagonal + 1 : Math.Max(lengths[i], lengths[i - 1]));
        }
        return lengths[^1];
    }

    private static RougeScore Of(int overlap, int expected, int actual)
    {
        var precision = overlap / (double)Math.Max(actual, 1);
        var recall = overlap / (double)Math.Max(expected, 1);
        return new(precision, recall, precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0);
    }

    [GeneratedRegex("[a-z0-9]+", RegexOptions.CultureInvariant)]
    private static partial Regex Word();
}
