using System.Text.RegularExpressions;

namespace RlhfFunctions.Ml.Rewards;

/// <summary>What counts as a word where words are counted or looked for.</summary>
internal static partial class Words
{
    /// <summary>Runs of letters (with their accents) and digits, in lower case: "Tom's low-life" → tom, s, low, life.</summary>
    public static string[] Of(string text) => [.. Runs().Matches(text).Select(run => run.Value.ToLowerInvariant())];

    [GeneratedRegex(@"[\p{L}\p{M}\p{N}]+", RegexOptions.CultureInvariant)]
    private static partial Regex Runs();
}
