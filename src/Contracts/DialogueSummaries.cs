namespace RlhfFunctions.Contracts;

/// <summary>summaries/{name}.json.</summary>
/// <param name="Dialogues">The uploaded blob's name.</param>
/// <param name="RunId">The run whose adapter wrote the summaries.</param>
/// <param name="Summaries">In the order of the file.</param>
public sealed record DialogueSummaries(string Dialogues, string RunId, IReadOnlyList<DialogueSummary> Summaries);

/// <summary>One summary.</summary>
public sealed record DialogueSummary(string Id, string Summary);
