namespace RlhfFunctions.Ml.Data;

/// <summary>Picks the rows a run works with.</summary>
public static class DialogueSelection
{
    /// <summary>First takes the first rows, <b>then</b> drops those whose dialogue is too short or too long.</summary>
    /// <param name="rows">The rows in the file's order.</param>
    /// <param name="firstRows">How many rows to look at; null for all.</param>
    /// <param name="longerThan">A kept dialogue has more characters than this. Characters are Unicode code points.</param>
    /// <param name="atMost">A kept dialogue has no more characters than this.</param>
    public static IReadOnlyList<DialogueRow> Select(
        IEnumerable<DialogueRow> rows, int? firstRows = null, int longerThan = 200, int atMost = 1024) =>
        [.. rows.Take(firstRows ?? int.MaxValue).Where(row => Characters(row.Dialogue) is var count && count > longerThan && count <= atMost)];

    private static int Characters(string text)
    {
        var count = 0;
        foreach (var _ in text.EnumerateRunes())
            count++;
        return count;
    }
}
