using System.Text.RegularExpressions;

namespace RlhfFunctions.Samples.Make.Dialogues;

/// <summary>Sentences with {slots}.</summary>
public static partial class Template
{
    public static string Fill(string template, Func<string, string> valueOf) =>
        SlotPattern().Replace(template, m => valueOf(m.Groups[1].Value));

    public static IEnumerable<string> SlotsOf(string template) => SlotPattern().Matches(template).Select(m => m.Groups[1].Value);

    /// <summary>Templates are written with "a" and in lower case; this makes "an" and capitals of it once the words are known.</summary>
    public static string Polish(string text)
    {
        text = ArticlePattern().Replace(text, "$1n ");
        return SentenceStartPattern().Replace(text, m => m.Value.ToUpperInvariant());
    }

    [GeneratedRegex(@"\{(\w+)\}")]
    internal static partial Regex SlotPattern();

    // "a useless one", "a European": written with a vowel, spoken without.
    [GeneratedRegex(@"\b([Aa]) (?=(?!one|eu)[aeio]|u(?!se|ni))")]
    private static partial Regex ArticlePattern();

    [GeneratedRegex(@"(?:^|[.!?] )[a-z]")]
    private static partial Regex SentenceStartPattern();
}
