using RlhfFunctions.Contracts;

namespace RlhfFunctions.Ml.Evaluation;

/// <summary>How a policy is measured. Equal plans draw equal random numbers, so that before and after differ by the policy alone.</summary>
public sealed record EvaluationPlan
{
    /// <summary>The seed of the sampled responses.</summary>
    public required ulong Seed { get; init; }

    /// <summary>Responses per dialogue.</summary>
    public required int SamplesPerDialogue { get; init; }

    /// <summary>Responses generated and scored at a time.</summary>
    public required int BatchSize { get; init; }

    /// <summary>How responses are sampled.</summary>
    public required GenerationSettings Generation { get; init; }
}
