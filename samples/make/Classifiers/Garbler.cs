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

    /// <summary>Empty, cut off, repeating itself, or soup.</summary>
    public static string Break(Dice dice, string text)
    {
        var words = text.Split(' ');
        var (one, two) = (dice.Pick(words), dice.Pick(words));
        switch (dice.Below(9))
        {
            case 0:
                return dice.Pick(["", "", " ", "\n"]);
            case 1:
                return string.Concat(Enumerable.Range(0, 1 + dice.Below(5)).Select(_ => dice.Pick([".", ",", "!", "?", " ", "'"])));
            case 2:
                return dice.Pick([one, $"{one} {two}", $"{one}.", $"{one} {two}."]);
            case 3:
                return Repeat(one, 3 + dice.Below(10));
            case 4:
                return Repeat($"{one} {two}", 3 + dice.Below(5)) + dice.Pick(["", "."]);
            case 5 or 6 when words.Length > 3: // cut off before its end
                return string.Join(' ', words[..(1 + dice.Below(words.Length - 2))]).TrimEnd('.', '!', '?');
            case 7:
                return string.Join(' ', words.Select(w => new string(dice.Shuffled(w))));
            default:
                return string.Join(' ', dice.Shuffled(words)).Replace(".", "", StringComparison.Ordinal);
        }
    }

    private static string Repeat(string text, int times) => string.Join(' ', Enumerable.Repeat(text, times));
}
