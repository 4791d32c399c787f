namespace RlhfFunctions.Contracts;

/// <summary>GET /api/runs/{id}.</summary>
public sealed record RunView
{
    public required string RunId { get; init; }

    /// <summary>Durable's status: Pending, Running, Suspended, Completed, Failed, Terminated; NotStarted when only the request is there.</summary>
    public required string Status { get; init; }

    public DateTimeOffset? CreatedAt { get; init; }

    public DateTimeOffset? UpdatedAt { get; init; }

    public RunProgress? Progress { get; init; }

    public RunOutcome? Outcome { get; init; }

    /// <summary>Why the run failed.</summary>
    public string? Failure { get; init; }

    public required RunRequest Request { get; init; }
}
