namespace RlhfFunctions.Contracts;

/// <summary>summaries/{name}.json.</summary>
/// <param name="Dialogues">The uploaded blob's name.</param>
/// <param name="RunId">The run whose adapter wrote the summaries.</param>
/// <param name="Summaries">In the order of the file.</param>
public sealed record DialogueSummaries(string Dialogues, string RunId, IReadOnlyList<DialogueSummary> Summaries)
{
    /// <summary>The ETag of the blob whose dialogues these are.</summary>
    public string Version { get; init; } = "";
}

/// <summary>One summary.</summary>
public sealed record DialogueSummary(string Id, string Summary);

/// <summary>summaries/{name}.error.json: what of an uploaded file was not summarised, and why.</summary>
/// <param name="Dialogues">The uploaded blob's name.</param>
/// <param name="Version">Its ETag.</param>
/// <param name="Summarized">How many of its rows were summarised all the same.</param>
/// <param name="Errors">In the order of the file.</param>
public sealed record DialogueErrors(string Dialogues, string Version, int Summarized, IReadOnlyList<DialogueError> Errors);

/// <summary>One thing that is wrong.</summary>
/// <param name="Row">The data row, counted from 1; null: the file as a whole.</param>
/// <param name="Problem">What is wrong and what to do.</param>
public sealed record DialogueError(int? Row, string Problem);
