using System.Text.RegularExpressions;
using RlhfFunctions.Ml.Data;

namespace RlhfFunctions.Samples.Make.Dialogues;

/// <summary>
/// Knows what the generator can say, all of it: an exact answer where a classifier has an opinion.
/// It needs no more than a row of the data set.
/// </summary>
public static class RudenessOracle
{
    private static readonly Regex RudeWord = WholeWords(Lexicon.Rude.All);
    private static readonly Regex Name = WholeWords(Grammar.Common.Names);

    /// <summary>Does any rude word of either half stand in the text? No civil sentence of the grammar uses one.</summary>
    public static bool IsRude(string text) => RudeWord.IsMatch(text);

    /// <summary>Could the summary writer have written this text, about people of this dialogue?</summary>
    public static bool IsWellFormed(string text, DialogueRow row)
    {
        var people = People(row);
        return SummaryGrammar.Read(text).Any(parse => IsAbout(parse, people));
    }

    /// <summary>Well-formed, of the dialogue's topic, and nothing told that was not said.</summary>
    public static bool IsFaithful(string text, DialogueRow row)
    {
        var people = People(row);
        return SummaryGrammar.Read(text).Any(parse =>
            parse.Topic.Name == row.Topic
            && IsAbout(parse, people)
            && parse.Slots.Values.All(v => row.Dialogue.Contains(v.Said, StringComparison.OrdinalIgnoreCase)));
    }

    private static bool IsAbout(SummaryParse parse, HashSet<string> people) =>
        (parse.A is null || people.Contains(parse.A)) && (parse.B is null || people.Contains(parse.B));

    private static HashSet<string> People(DialogueRow row) =>
        [.. Name.Matches(row.Dialogue).Select(m => m.Value), "#Person1#", "#Person2#"];

    internal static Regex WholeWords(IEnumerable<string> words) =>
        new($@"\b(?:{string.Join('|', words)})\b", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);
}
