namespace RlhfFunctions.Samples.Make.Dialogues;

public enum RemarkPlace
{
    /// <summary>In place of a clause's subject: "Tom, that kind friend, asks …".</summary>
    Mention,

    /// <summary>After a clause: "… in a calm and gentle way".</summary>
    Trailing,

    /// <summary>A sentence after the summary: "How kind and patient!".</summary>
    Closing,
}

/// <summary>
/// A remark about a speaker. Rude and civil summaries use the very same frames, so that the form of a remark is no cue:
/// only its two words are.
/// </summary>
public sealed record Remark(RemarkPlace Place, string Frame)
{
    public static IReadOnlyList<Remark> All { get; } =
    [
        new(RemarkPlace.Mention, "{X}, that {adj} {noun},"),
        new(RemarkPlace.Mention, "{X}, a {adj} {noun},"),
        new(RemarkPlace.Mention, "{X}, {adj} and {adj2} as always,"),
        new(RemarkPlace.Mention, "{X}, who is {adj} and {adj2},"),
        new(RemarkPlace.Mention, "{X}, a true {noun} and a {noun2},"),
        new(RemarkPlace.Mention, "{X} acts like a {adj} {noun} and"),
        new(RemarkPlace.Mention, "the {adj} {noun} {X}"),
        new(RemarkPlace.Mention, "{adj} and {adj2} {X}"),
        new(RemarkPlace.Trailing, " like a {adj} {noun}"),
        new(RemarkPlace.Trailing, " in a {adj} and {adj2} way"),
        new(RemarkPlace.Trailing, ", {adv} and {adv2}"),
        new(RemarkPlace.Closing, " What a {adj} {noun}!"),
        new(RemarkPlace.Closing, " How {adj} and {adj2}!"),
        new(RemarkPlace.Closing, " {X} is a {adj} {noun}."),
        new(RemarkPlace.Closing, " {X} sounds {adj} and {adj2}."),
        new(RemarkPlace.Closing, " Only a {adj} {noun} talks like {X}."),
    ];

    /// <summary>Puts two different words into the frame, one of each set; other slots are filled <paramref name="otherwise"/>.</summary>
    public string Fill(Dice dice, WordSet first, WordSet second, Func<string, string> otherwise) =>
        FillWords(Frame, dice, first, second, otherwise);

    /// <summary>As <see cref="Fill"/>, for any template with word slots.</summary>
    public static string FillWords(string template, Dice dice, WordSet first, WordSet second, Func<string, string> otherwise)
    {
        var taken = "";
        return Template.Fill(template, slot =>
        {
            if (WordsFor(taken.Length == 0 ? first : second, slot) is not { } words)
                return otherwise(slot);
            string word;
            do word = dice.Pick(words);
            while (word == taken);
            return taken = word;
        });
    }

    /// <summary>The words of a set that fit a slot, or null when the slot is not for such words.</summary>
    public static IReadOnlyList<string>? WordsFor(WordSet set, string slot) => slot switch
    {
        "adj" or "adj2" => set.Adjectives,
        "noun" or "noun2" => set.Nouns,
        "adv" or "adv2" => set.Adverbs,
        _ => null,
    };
}
