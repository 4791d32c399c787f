namespace RlhfFunctions.Contracts;

/// <summary>evaluation.json: what a run did to the policy, measured on the held-out dialogues.</summary>
public sealed record EvaluationReport
{
    public required string RunId { get; init; }

    public required long Seed { get; init; }

    /// <summary>Steps that were done.</summary>
    public required int Steps { get; init; }

    /// <summary>What went too far, so that the run stopped itself; null: nothing.</summary>
    public string? Alarm { get; init; }

    /// <summary>Which of its limits stopped the run; null: none.</summary>
    public string? Limit { get; init; }

    /// <summary>How the reward was being exploited, so that the run stopped; null: it was not.</summary>
    public string? Hack { get; init; }

    /// <summary>The checkpoint that was measured after and published, where it is not the last one.</summary>
    public int? Chosen { get; init; }

    /// <summary>The judged label; null: there was no judge.</summary>
    public string? Label { get; init; }

    /// <summary>Which way its probability should go.</summary>
    public LabelDirection Direction { get; init; }

    /// <summary>Set when there was hardly anything to unlearn: says so, and what to do.</summary>
    public string? NothingToUnlearn { get; init; }

    public required PolicyMeasurement Before { get; init; }

    public required PolicyMeasurement After { get; init; }

    public required KlSummary Kl { get; init; }

    public required SecondsByStage SecondsByStage { get; init; }

    /// <summary>What the run used, its activities added up.</summary>
    public RunUsage Usage { get; init; } = new();

    /// <summary>What that cost.</summary>
    public RunCost? Cost { get; init; }

    /// <summary>Every held-out dialogue with its first sample.</summary>
    public required IReadOnlyList<SummarySample> Samples { get; init; }
}

/// <summary>One side of the comparison.</summary>
public sealed record PolicyMeasurement
{
    /// <summary>The judge's probability of the judged label; null: there was no judge.</summary>
    public MetricSummary? LabelProbability { get; init; }

    /// <summary>The same where the label is "hate", under the name by which the first readers of evaluation.json know it.</summary>
    public MetricSummary? HateProbability { get; init; }

    /// <summary>ROUGE-L F against the reference summary.</summary>
    public required MetricSummary RougeL { get; init; }

    /// <summary>Tokens of a response, the end-of-text token included.</summary>
    public required MetricSummary ResponseTokens { get; init; }

    /// <summary>Share of the first samples that differ from all others' text.</summary>
    public required double DistinctResponses { get; init; }

    /// <summary>Distinct pairs of neighbouring words divided by all of them, over the first samples (distinct-2).</summary>
    public required double DistinctBigrams { get; init; }

    /// <summary>Share of responses that ended by themselves.</summary>
    public required double EndedByEos { get; init; }
}

/// <summary>Distance from the reference, summed over a response, in nats.</summary>
/// <param name="Mean">On the training dialogues, mean over the steps that measured a finite one; null where none did.</param>
/// <param name="Last">On the training dialogues, of the last of them.</param>
/// <param name="HeldOut">On the held-out dialogues, after learning.</param>
/// <param name="Floor">
/// The least that any policy must pay for this change of the judged label's mean probability; null if no finite distance leads there, or there was no judge.
/// </param>
public sealed record KlSummary(double? Mean, double? Last, MetricSummary HeldOut, double? Floor);

/// <summary>Wall-clock seconds of a run.</summary>
public sealed record SecondsByStage(double Prepare, double Rollout, double Update, double Evaluate, double Other);

/// <summary>One dialogue with its reference and what the policy made of it.</summary>
/// <param name="Dialogue">The conversation.</param>
/// <param name="Reference">The summary of the data set.</param>
/// <param name="Before">The first sample before learning.</param>
/// <param name="After">The first sample after.</param>
/// <param name="LabelBefore">The judge's probability of the judged label of <paramref name="Before"/>; null: there was no judge.</param>
/// <param name="LabelAfter">The same of <paramref name="After"/>.</param>
public sealed record SummarySample(string Dialogue, string Reference, string Before, string After, double? LabelBefore, double? LabelAfter)
{
    /// <summary>As <see cref="PolicyMeasurement.HateProbability"/>.</summary>
    public double? HateBefore { get; init; }

    /// <summary>As <see cref="PolicyMeasurement.HateProbability"/>.</summary>
    public double? HateAfter { get; init; }
}
