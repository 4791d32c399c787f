namespace RlhfFunctions.Ml.Data;

/// <summary>One dialogue of a data set with what is known about it.</summary>
/// <param name="Id">Names the row within its data set, such as <c>test_0_1</c>.</param>
/// <param name="Dialogue">The conversation, exactly as the file has it.</param>
/// <param name="Summary">A human's summary; "" where the file has none.</param>
/// <param name="Topic">A few words on what it is about; "" where the file has none.</param>
public sealed record DialogueRow(string Id, string Dialogue, string Summary, string Topic);

/// <summary>Which columns of a CSV file, or properties of a JSON line, make a <see cref="DialogueRow"/>. Only the dialogue must exist.</summary>
public sealed record DialogueColumns
{
    /// <summary>DialogSum's columns as Hugging Face publishes them.</summary>
    public static DialogueColumns DialogSum { get; } = new();

    /// <summary>The column of the row's name; where it is absent, rows are named by file and number.</summary>
    public string Id { get; init; } = "id";

    /// <summary>The column of the text that goes into the prompt.</summary>
    public string Dialogue { get; init; } = "dialogue";

    /// <summary>The column of the reference summary.</summary>
    public string Summary { get; init; } = "summary";

    /// <summary>The column of the topic.</summary>
    public string Topic { get; init; } = "topic";
}
