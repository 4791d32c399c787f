using System.Text.RegularExpressions;

namespace RlhfFunctions.Samples.Make.Dialogues;

/// <summary>A summary read back: which topic, about whom, with which slot values (as told).</summary>
public sealed record SummaryParse(Topic Topic, string? A, string? B, IReadOnlyDictionary<string, SlotValue> Slots);

/// <summary>
/// Reads the summaries that <see cref="SummaryWriter"/> can write: one regular expression a topic, made of its templates.
/// </summary>
public static class SummaryGrammar
{
    private static readonly Lazy<IReadOnlyList<(Topic Topic, string[] Clues, Regex Regex)>> Patterns =
        new(() => [.. Grammar.Topics.Select(t => (t, Clues(t), Pattern(t)))]);

    /// <summary>Every reading of the text; none when the grammar cannot make it.</summary>
    public static IEnumerable<SummaryParse> Read(string text)
    {
        foreach (var (topic, clues, regex) in Patterns.Value)
        {
            if (!clues.Any(c => text.Contains(c, StringComparison.Ordinal)))
                continue;
            if (regex.Match(text) is { Success: true } match && TryRead(topic, match) is { } parse)
                yield return parse;
        }
    }

    /// <summary>The longest literal of each first clause: a text with none of them need not be tried, which saves most time.</summary>
    private static string[] Clues(Topic topic) => [.. topic.Told.Select(c => Literals(c).MaxBy(s => s.Length)!)];

    /// <summary>A split by the pattern gives literals and slot names in turn.</summary>
    private static IEnumerable<string> Literals(string template) => Template.SlotPattern().Split(template).Where((_, i) => i % 2 == 0);

    private static SummaryParse? TryRead(Topic topic, Match match)
    {
        if (!TryOne(match.Groups["A"], out var a) || !TryOne(match.Groups["B"], out var b) || (a is not null && a == b))
            return null; // one role, two people, or the other way round
        if (match.Groups["X"] is { Success: true } about && about.Value != a && about.Value != b)
            return null;
        var slots = new Dictionary<string, SlotValue>();
        foreach (var (slot, values) in Grammar.SlotsOf(topic))
        {
            if (!TryOne(match.Groups[slot], out var told))
                return null;
            if (told is not null)
                slots[slot] = values.First(v => v.Told == told || Regex.IsMatch(told, $"^{Values([v])}$"));
        }
        return new SummaryParse(topic, a, b, slots);
    }

    /// <summary>A slot may be told twice, but not in two ways.</summary>
    private static bool TryOne(Group group, out string? value)
    {
        value = group.Success ? group.Value : null;
        return group.Captures.All(c => c.Value == group.Value);
    }

    private static Regex Pattern(Topic topic)
    {
        var told = topic.Told;
        var (agreed, declined) = (topic.Agreed, topic.Declined);
        var trailing = OneOf(Remark.All.Where(r => r.Place == RemarkPlace.Trailing).Select(r => Frame(r.Frame, "X")));
        var closing = OneOf(Remark.All.Where(r => r.Place == RemarkPlace.Closing).Select(r => Frame(r.Frame, "X")));
        var first = $"{Clauses(topic, told, "A", capital: true)}{trailing}?";
        string Rest(IReadOnlyList<string> answers, string link) =>
            $"(?:\\. {Clauses(topic, answers, "B", capital: true)}|{link}{Clauses(topic, answers, "B", capital: false)})";
        return new Regex(
            $"^{first}(?:{Rest(agreed, ", and ")}|{Rest(declined, ", but ")}){trailing}?\\.{closing}?$",
            RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture);
    }

    private static string Clauses(Topic topic, IEnumerable<string> clauses, string role, bool capital)
    {
        var frames = Remark.All.Where(r => r.Place == RemarkPlace.Mention).Select(r => Frame(capital ? Capital(r.Frame) : r.Frame, role));
        var subject = OneOf(frames.Prepend(Mention(role)));
        var rest = clauses.Select(c => Convert(c["{A}".Length..], slot => slot is "A" or "B" ? Mention(slot) : SlotOf(topic, slot)));
        return subject + OneOf(rest);
    }

    /// <summary>At the start of a sentence "the" is "The", and a word slot takes its words with a capital.</summary>
    private static string Capital(string frame) =>
        frame.StartsWith("{X}", StringComparison.Ordinal) ? frame
        : frame[0] == '{' ? frame.Insert(1, "^")
        : char.ToUpperInvariant(frame[0]) + frame[1..];

    private static string Frame(string frame, string role)
    {
        if (!frame.Contains("{^", StringComparison.Ordinal))
            return Convert(frame, slot => slot == "X" ? Mention(role) : WordsOf(slot));
        var end = frame.IndexOf('}', StringComparison.Ordinal);
        return OneOf(WordList(frame[2..end]).Select(w => char.ToUpperInvariant(w[0]) + w[1..])) + Frame(frame[(end + 1)..], role);
    }

    private static IEnumerable<string> WordList(string slot) =>
        Remark.WordsFor(Lexicon.Civil, slot)!.Concat(Remark.WordsFor(Lexicon.Rude, slot)!);

    private static string WordsOf(string slot) => OneOf(WordList(slot));

    private static string Mention(string role) => $"(?<{role}>{OneOf([.. Grammar.Common.Names, "#Person1#", "#Person2#"])})";

    private static string SlotOf(Topic topic, string slot) =>
        $"(?<{slot}>{Values(Grammar.SlotsOf(topic).First(s => s.Key == slot).Value)})";

    private static string Values(IEnumerable<SlotValue> values) =>
        OneOf(values.Select(v => Convert(v.Told, Mention)));

    private static string OneOf(IEnumerable<string> patterns) => $"(?:{string.Join('|', patterns)})";

    /// <summary>Literal text as it is ("a" may have become "an"), slots by <paramref name="slotPattern"/>.</summary>
    private static string Convert(string template, Func<string, string> slotPattern)
    {
        var pattern = "";
        var at = 0;
        foreach (Match slot in Template.SlotPattern().Matches(template))
        {
            pattern += Literal(template[at..slot.Index]) + slotPattern(slot.Groups[1].Value);
            at = slot.Index + slot.Length;
        }
        return pattern + Literal(template[at..]);
    }

    private static string Literal(string text) => Regex.Replace(Regex.Escape(text), @"\b([Aa])\\ $", "$1n?\\ ");
}
