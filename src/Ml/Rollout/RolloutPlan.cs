using RlhfFunctions.Contracts;

namespace RlhfFunctions.Ml.Rollout;

/// <summary>How a shard of a step is rolled out.</summary>
public sealed record RolloutPlan
{
    /// <summary>The run's seed.</summary>
    public required ulong RunSeed { get; init; }

    /// <summary>The step, from 0.</summary>
    public required int Step { get; init; }

    /// <summary>The place of the shard's first prompt in the step's batch.</summary>
    public required int FirstSample { get; init; }

    /// <summary>How responses are sampled.</summary>
    public required GenerationSettings Generation { get; init; }

    /// <summary>Which penalty is noted for leaving the reference; null: the reference is not asked.</summary>
    public required KlPenalty? KlPenalty { get; init; }

    /// <summary>Samples scored at a time; bounds the memory for logits.</summary>
    public required int ScoringBatchSize { get; init; }
}
