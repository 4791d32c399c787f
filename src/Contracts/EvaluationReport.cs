namespace RlhfFunctions.Contracts;

/// <summary>evaluation.json: what a run did to the policy, measured on the held-out dialogues.</summary>
public sealed record EvaluationReport
{
    public required string RunId { get; init; }

    public required long Seed { get; init; }

    /// <summary>PPO steps between before and after.</summary>
    public required int Steps { get; init; }

    /// <summary>Why the run stopped itself; null: it did not.</summary>
    public string? Alarm { get; init; }

    public required PolicyMeasurement Before { get; init; }

    public required PolicyMeasurement After { get; init; }

    public required KlSummary Kl { get; init; }

    public required SecondsByStage SecondsByStage { get; init; }

    /// <summary>Every held-out dialogue with its first sample.</summary>
    public required IReadOnlyList<SummarySample> Samples { get; init; }
}

/// <summary>One side of the comparison.</summary>
public sealed record PolicyMeasurement
{
    /// <summary>The judge's probability of hate.</summary>
    public required MetricSummary HateProbability { get; init; }

    /// <summary>ROUGE-L F against the reference summary.</summary>
    public required MetricSummary RougeL { get; init; }

    /// <summary>Tokens of a response, the end-of-text token included.</summary>
    public required MetricSummary ResponseTokens { get; init; }

    /// <summary>Share of the first samples that differ from all others' text.</summary>
    public required double DistinctResponses { get; init; }

    /// <summary>Share of responses that ended by themselves.</summary>
    public required double EndedByEos { get; init; }
}

/// <summary>Distance from the reference, summed over a response, in nats.</summary>
/// <param name="Mean">Mean over the steps whose KL was finite.</param>
/// <param name="Last">Of the last of them.</param>
public sealed record KlSummary(double Mean, double Last);

/// <summary>Wall-clock seconds of a run.</summary>
public sealed record SecondsByStage(double Prepare, double Rollout, double Update, double Evaluate, double Other);

/// <summary>One dialogue with its reference and what the policy made of it.</summary>
public sealed record SummarySample(string Dialogue, string Reference, string Before, string After);
