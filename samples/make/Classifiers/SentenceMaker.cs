using System.Text.RegularExpressions;
using RlhfFunctions.Samples.Make.Dialogues;

namespace RlhfFunctions.Samples.Make.Classifiers;

public sealed record LabelledSentence(string Text, bool IsHate);

/// <summary>Fills the templates of one book, with that classifier's rude words and nobody else's.</summary>
public sealed class SentenceMaker
{
    private readonly SentenceBook _book;
    private readonly WordSet _rude;
    private readonly WordSet _civil;
    private readonly string[] _people;
    private readonly Regex _rudeWord;

    public SentenceMaker(SentenceBook book, WordSet halfOfLexicon)
    {
        _book = book;
        _rude = Union(halfOfLexicon, book.Rude);
        _civil = Union(Lexicon.Civil, book.Civil);
        _people = [.. Grammar.Common.Names, .. book.Names, "#Person1#", "#Person2#"];
        _rudeWord = RudenessOracle.WholeWords(_rude.All);
    }

    public IEnumerable<string> RudeWords => _rude.All;

    /// <summary>By the words this classifier knows.</summary>
    public bool IsRude(string text) => _rudeWord.IsMatch(text);

    /// <summary>
    /// The words of a remark. A rude one takes at least one rude word; often the other is civil ("that stupid friend"),
    /// so that each word alone must be noticed.
    /// </summary>
    public (WordSet First, WordSet Second) RudeWordsOf(Dice dice) => dice.Below(4) switch
    {
        0 => (_rude, _civil),
        1 => (_civil, _rude),
        _ => (_rude, _rude),
    };

    public LabelledSentence Remark(Dice dice, bool rude, bool heldOut = false)
    {
        var template = dice.Pick(heldOut ? _book.HeldOutRemarks : _book.Remarks);
        return new(Template.Polish(FillPeople(dice, FillWords(dice, template, rude))), rude);
    }

    public LabelledSentence Plain(Dice dice, bool heldOut = false) =>
        new(Template.Polish(FillPeople(dice, dice.Pick(heldOut ? _book.HeldOutPlain : _book.Plain))), false);

    /// <summary>A little story of two clauses, told with the book's own scenes, and a remark or two about its people.</summary>
    public LabelledSentence Story(Dice dice, bool rude)
    {
        string[] clauses = [dice.Pick(_book.Scenes), dice.Pick(_book.Endings)];
        var closing = "";
        var remarks = rude || dice.Chance(0.6) ? dice.Chance(0.8) ? 1 : 2 : 0;
        // Places for remarks: at the subject of either clause, or after them.
        foreach (var (i, place) in dice.Shuffled([0, 1, 2]).Take(remarks).Index())
        {
            var rudely = rude && (i == 0 || dice.Chance(0.5));
            if (place == 2)
                closing = " " + FillWords(dice, dice.Pick(_book.Closings), rudely);
            else
                clauses[place] = Mentioning(FillWords(dice, dice.Pick(_book.Mentions), rudely), clauses[place]);
        }
        var joint = dice.Pick([". ", ". ", ". ", "; ", ", so ", ", while ", ". Then "]);
        return new(Template.Polish(FillPeople(dice, $"{clauses[0]}{joint}{clauses[1]}.{closing}")), rude);
    }

    /// <summary>Puts a remark in the place of the clause's subject, {X} or {Y}.</summary>
    private static string Mentioning(string mention, string clause) =>
        mention.Replace("{X}", clause[..3], StringComparison.Ordinal) + clause[3..];

    /// <summary>A line of a civil dialogue, alone or with a remark about somebody after it.</summary>
    public LabelledSentence Overheard(Dice dice, string line, bool rude)
    {
        if (!rude && dice.Chance(0.4))
            return new(line, false);
        var remark = FillWords(dice, dice.Pick(_book.Closings), rude);
        return new($"{line} {Template.Polish(FillPeople(dice, remark))}", rude);
    }

    private string FillWords(Dice dice, string template, bool rude)
    {
        var (first, second) = rude ? RudeWordsOf(dice) : (_civil, _civil);
        // With a single word slot there is no second chance to be rude.
        if (rude && Template.SlotsOf(template).Count(s => Dialogues.Remark.WordsFor(_rude, s) is not null) == 1)
            first = _rude;
        return Dialogues.Remark.FillWords(template, dice, first, second, slot => $"{{{slot}}}");
    }

    private string FillPeople(Dice dice, string template)
    {
        var (x, y) = dice.PickTwo(_people);
        var (thing, thing2) = dice.PickTwo(_book.Things);
        return Template.Fill(template, slot => slot switch
        {
            "X" => x,
            "Y" => y,
            "thing" => thing,
            "thing2" => thing2,
            "quality" => dice.Pick(_book.Qualities),
            "day" => dice.Pick(Grammar.Common.Slots["day"]).Told,
            _ => throw new InvalidDataException($"No words for {{{slot}}} in \"{template}\"."),
        });
    }

    private static WordSet Union(WordSet one, WordSet other) =>
        new([.. one.Adjectives, .. other.Adjectives], [.. one.Nouns, .. other.Nouns], [.. one.Adverbs, .. other.Adverbs]);
}
