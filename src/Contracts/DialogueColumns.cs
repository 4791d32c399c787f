using System.ComponentModel.DataAnnotations;

namespace RlhfFunctions.Contracts;

/// <summary>
/// Which columns of a CSV file, or properties of a JSON line, make a dialogue's row; DialogSum's where nothing else is said. Only the
/// dialogue must exist.
/// </summary>
public sealed record DialogueColumns
{
    /// <summary>The column of the row's name; where it is absent, rows are named by file and number.</summary>
    [MinLength(1)]
    public string Id { get; init; } = "id";

    /// <summary>The column of the text that goes into the prompt.</summary>
    [MinLength(1)]
    public string Dialogue { get; init; } = "dialogue";

    /// <summary>The column of the reference summary, which the rows that are measured need.</summary>
    [MinLength(1)]
    public string Summary { get; init; } = "summary";

    /// <summary>The column of the topic.</summary>
    [MinLength(1)]
    public string Topic { get; init; } = "topic";
}
