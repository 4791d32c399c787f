namespace RlhfFunctions.Ml.Data;

/// <summary>One dialogue of a data set with what is known about it.</summary>
/// <param name="Id">Names the row within its data set, such as <c>test_0_1</c>.</param>
/// <param name="Dialogue">The conversation, exactly as the file has it.</param>
/// <param name="Summary">A human's summary; "" where the file has none.</param>
/// <param name="Topic">A few words on what it is about; "" where the file has none.</param>
public sealed record DialogueRow(string Id, string Dialogue, string Summary, string Topic);

/// <summary>A row and its number in the file, counted from 1.</summary>
public sealed record NumberedDialogue(int Row, DialogueRow Dialogue);

/// <summary>A row that cannot be read, and why.</summary>
public sealed record BrokenRow(int Row, string Problem);
