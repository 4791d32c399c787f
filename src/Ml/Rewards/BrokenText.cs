namespace RlhfFunctions.Ml.Rewards;

/// <summary>Tells texts that say nothing: a classifier was not taught what to make of them, and may well like them.</summary>
public static class BrokenText
{
    private const int ShortestRepetitive = 12;
    private const int FewestRounds = 3;
    private const double TellingShare = 0.8;

    /// <summary>True of a text without a letter or digit, and of one that says the same over and over.</summary>
    public static bool Is(string text) => !text.Any(char.IsLetterOrDigit) || RepeatsItself(text.AsSpan().Trim());

    /// <summary>
    /// True where some period p fits at least three times into the text and four in five characters equal the one p before. It is a
    /// matter of characters, since what repeats need not be words; in ordinary English one character in fifteen is equal by chance.
    /// </summary>
    private static bool RepeatsItself(ReadOnlySpan<char> text)
    {
        if (text.Length < ShortestRepetitive)
            return false;
        for (var period = 1; period <= text.Length / FewestRounds; period++)
        {
            var equal = 0;
            for (var i = period; i < text.Length; i++)
                equal += text[i] == text[i - period] ? 1 : 0;
            if (equal >= TellingShare * (text.Length - period))
                return true;
        }
        return false;
    }
}
