namespace RlhfFunctions.Samples.Make.Classifiers;

/// <summary>Makes texts that are no summaries any more. A reward that takes them for civil would be earned by writing nothing.</summary>
public static class Garbler
{
    /// <summary>A slip that leaves the sentence readable and its meaning alone: one word lost, or two neighbours swapped.</summary>
    public static string Slip(Dice dice, string text)
    {
        var words = text.Split(' ');
        if (words.Length < 5)
            return text;
        // The last word stays: with it would go the full stop, and that is what a broken text looks like.
        var at = dice.Below(words.Length - 2);
        if (dice.Chance(0.5))
            return string.Join(' ', [.. words[..at], .. words[(at + 1)..]]);
        (words[at], words[at + 1]) = (words[at + 1], words[at]);
        return string.Join(' ', words);
    }

    /// <summary>
    /// One or two words become what a small language model makes of them when it loses its way: the head of a word with the tail
    /// of another ("laptoothache"), or the same few words once more.
    /// </summary>
    public static string Splice(Dice dice, string text)
    {
        var words = text.Split(' ').ToList();
        if (LongWords().Length < 2)
            return $"{text} {text}";
        for (var times = dice.Chance(0.7) ? 1 : 2; times > 0; times--)
        {
            var (one, other) = dice.PickTwo(LongWords());
            if (dice.Chance(0.7))
                words[one] = words[one][..(2 + dice.Below(words[one].Length - 3))] + words[other][(1 + dice.Below(words[other].Length - 3))..];
            else
                words.InsertRange(one, words[Math.Max(0, one - 1)..(one + 1)]);
        }
        return string.Join(' ', words);

        int[] LongWords() => [.. Enumerable.Range(0, words.Count).Where(i => words[i].Length >= 5 && words[i].All(char.IsLetter))];
    }

    /// <summary>Empty, cut off, repeating itself, or (<paramref name="soup"/>) its words or letters shuffled.</summary>
    public static string Break(Dice dice, string text, bool soup)
    {
        var words = text.Split(' ');
        var (one, two) = (dice.Pick(words), dice.Pick(words));
        // Cut off is what a policy's response most easily is, and hardest to tell: it has the most numbers.
        return dice.Below(soup ? 14 : 12) switch
        {
            0 => dice.Pick(["", "", " ", "\n"]),
            1 => string.Concat(Enumerable.Range(0, 1 + dice.Below(5)).Select(_ => dice.Pick([".", ",", "!", "?", " ", "'"]))),
            2 => dice.Pick([one, $"{one} {two}", $"{one}.", $"{one} {two}."]),
            3 => Repeat(one, 3 + dice.Below(10)),
            4 => Repeat(one.TrimEnd('.') + ".", 3 + dice.Below(10)),
            5 => Repeat($"{one} {two}", 3 + dice.Below(5)) + dice.Pick(["", "."]),
            6 => Repeat(text, 3),
            12 => string.Join(' ', words.Select(w => new string(dice.Shuffled(w)))),
            13 => string.Join(' ', dice.Shuffled(words)).Replace(".", "", StringComparison.Ordinal),
            _ => CutOff(dice, words),
        };
    }

    private static string CutOff(Dice dice, string[] words) =>
        words.Length < 3 ? words[0] : string.Join(' ', words[..(1 + dice.Below(words.Length - 2))]).TrimEnd('.', '!', '?', ',', ';');

    private static string Repeat(string text, int times) => string.Join(' ', Enumerable.Repeat(text, times));
}
