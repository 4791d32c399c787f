using System.Text.RegularExpressions;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>Seeds as the command line spells them: <c>0..4</c>, <c>0,3,7</c>, or both together, <c>0..2,7</c>.</summary>
internal static partial class SeedList
{
    private const int MaxSeeds = 1000;

    /// <returns>The seeds in the order given, each once; null for null.</returns>
    /// <exception cref="UserErrorException">Not such a list.</exception>
    public static IReadOnlyList<long>? Parse(string? text)
    {
        if (text is null) return null;
        var seeds = new List<long>();
        foreach (string part in text.Split(',', StringSplitOptions.TrimEntries))
        {
            var match = Part().Match(part);
            if (!match.Success || !long.TryParse(match.Groups[1].Value, out long first)) throw Wrong(text);
            long last = first;
            if (match.Groups[2].Success && !long.TryParse(match.Groups[2].Value, out last)) throw Wrong(text);
            if (last < first || last - first >= MaxSeeds) throw Wrong(text);
            for (long seed = first; seed <= last; seed++) seeds.Add(seed);
        }

        return seeds.Distinct().Count() <= MaxSeeds ? [.. seeds.Distinct()] : throw Wrong(text);
    }

    private static UserErrorException Wrong(string text)
    {
        return new UserErrorException(
            $"--seeds \"{text}\" is no list of seeds. Write a range such as 0..4, seeds with commas such as 0,3,7, or both, 0..2,7; at most {MaxSeeds} seeds.");
    }

    [GeneratedRegex(@"^(\d+)(?:\.\.(\d+))?$")]
    private static partial Regex Part();
}
