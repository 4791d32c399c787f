using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace RlhfFunctions.Ml.Text;

/// <summary>
/// Cuts texts at a pattern as Hugging Face's tokenizers do, by code points: .NET's own patterns see two surrogates, neither a letter nor
/// a digit, where a character lies beyond U+FFFF. Such a character is shown to the pattern as another of its category.
/// </summary>
internal sealed class SplitPattern
{
    private static readonly char[] StandIns = FindStandIns();

    private readonly Regex _pattern;
    private readonly bool _keepsRest;

    /// <param name="pattern">A regular expression; .NET reads those of the known tokenizers as their authors meant them.</param>
    /// <param name="keepsRest">Whether what lies between matches is a piece too, or is lost.</param>
    /// <exception cref="ArgumentException">It is no pattern, or uses what .NET does not have.</exception>
    public SplitPattern(string pattern, bool keepsRest = true)
    {
        Text = pattern;
        _pattern = new Regex(pattern, RegexOptions.Compiled | RegexOptions.CultureInvariant);
        _keepsRest = keepsRest;
    }

    /// <summary>As the tokenizer's file has it.</summary>
    public string Text { get; }

    /// <summary>The pieces of a text in order, none of them empty.</summary>
    /// <param name="text">Without unpaired surrogates.</param>
    public IEnumerable<string> Split(string text)
    {
        var (shown, places) = Show(text);
        var start = 0;
        for (var match = _pattern.Match(shown); match.Success; match = match.NextMatch())
        {
            if (match.Length == 0)
                continue;
            if (_keepsRest && match.Index > start)
                yield return Piece(start, match.Index);
            yield return Piece(match.Index, match.Index + match.Length);
            start = match.Index + match.Length;
        }
        if (_keepsRest && start < shown.Length)
            yield return Piece(start, shown.Length);

        string Piece(int from, int to) => places is null ? text[from..to] : text[places[from]..places[to]];
    }

    /// <summary>The text with one char for each code point, and where each of them begins in the original; null: where it is.</summary>
    private static (string Shown, int[]? Places) Show(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF'))
            return (text, null);
        var shown = new StringBuilder(text.Length);
        var places = new List<int>(text.Length + 1);
        var place = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            shown.Append(rune.IsBmp ? (char)rune.Value : StandIns[(int)Rune.GetUnicodeCategory(rune)]);
            places.Add(place);
            place += rune.Utf16SequenceLength;
        }
        return (shown.ToString(), [.. places, place]);
    }

    /// <summary>For each category a character of it, as far from the everyday ones as can be.</summary>
    private static char[] FindStandIns()
    {
        var found = new char[Enum.GetValues<UnicodeCategory>().Length];
        for (var c = 0x80; c <= char.MaxValue; c++)
            found[(int)char.GetUnicodeCategory((char)c)] = (char)c;
        return found;
    }
}
