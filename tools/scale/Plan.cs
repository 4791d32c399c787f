namespace RlhfFunctions.Scale;

/// <summary>What the platform allows and how it behaves; <see cref="Limits"/> has the sources.</summary>
public sealed record Platform
{
    /// <summary>Activities that one orchestration sends off a second.</summary>
    public double FanOutPerSecond { get; init; } = 100;

    /// <summary>Answers that one orchestration takes a second.</summary>
    public double FanInPerSecond { get; init; } = 150;

    /// <summary>Seconds after which a replica that found nothing looks again: from the first value, doubled each time, to the second.</summary>
    public (double Low, double High) PollSeconds { get; init; } = (0.05, 2);

    /// <summary>How often the scaler looks at the queues, in seconds. It then doubles the replicas: 1, 4, 8, 16, …</summary>
    public double ScaleSeconds { get; init; } = 15;

    /// <summary>Seconds for which replicas are paid after the last message.</summary>
    public double CooldownSeconds { get; init; } = 300;

    /// <summary>Bytes a second into a storage account: 25 Gbit.</summary>
    public double IngressBytesPerSecond { get; init; } = 25e9 / 8;

    /// <summary>Bytes a second out of it: 50 Gbit.</summary>
    public double EgressBytesPerSecond { get; init; } = 50e9 / 8;
}

/// <summary>A run to be simulated.</summary>
public sealed record Plan
{
    public int Replicas { get; init; } = 1;

    public int Steps { get; init; } = 4;

    public int BatchSize { get; init; } = 256;

    /// <summary>Rollout activities of a step; null: one for each replica, as far as there are samples, at most 1,024.</summary>
    public int? RolloutShards { get; init; }

    /// <summary>Samples between two steps of the optimizer; null: a quarter of the batch.</summary>
    public int? OptimizerBatch { get; init; }

    public int Epochs { get; init; } = 4;

    /// <summary>Gradient activities of a step of the optimizer; 1: the update is one activity.</summary>
    public int UpdateShards { get; init; } = 1;

    /// <summary>Tokens of a response are drawn uniformly from this …</summary>
    public int ShortestResponse { get; init; } = 16;

    /// <summary>… to this, both included.</summary>
    public int LongestResponse { get; init; } = 112;

    /// <summary>Whether the replicas have to be started first.</summary>
    public bool IsCold { get; init; }

    public int Seed { get; init; }

    public int Shards => Math.Min(RolloutShards ?? Math.Min(Replicas, 1024), BatchSize);

    public int SamplesOfOptimizerStep => Math.Min(OptimizerBatch ?? Math.Max(1, BatchSize / 4), BatchSize);

    public int OptimizerSteps => Epochs * BatchSize / SamplesOfOptimizerStep;
}

/// <summary>What a simulated run came to.</summary>
/// <param name="Plan">The run.</param>
/// <param name="Seconds">From its start to its last checkpoint.</param>
/// <param name="RolloutSeconds">Of these, with rollouts.</param>
/// <param name="UpdateSeconds">Of these, with updates.</param>
/// <param name="Tokens">Generated.</param>
/// <param name="BusySeconds">Seconds of all replicas with an activity.</param>
/// <param name="PaidSeconds">Seconds of all replicas from their start to the end, and where they were cold until they are let go.</param>
/// <param name="FirstActivitySeconds">Until the first activity began.</param>
/// <param name="LastReplicaSeconds">Until the last replica was up.</param>
public sealed record Outcome(
    Plan Plan, double Seconds, double RolloutSeconds, double UpdateSeconds, long Tokens, double BusySeconds, double PaidSeconds,
    double FirstActivitySeconds, double LastReplicaSeconds)
{
    public double TokensPerSecond => Tokens / Seconds;

    /// <summary>Money for a million tokens.</summary>
    public double PricePerMillion(double pricePerHour)
    {
        return PaidSeconds / 3600 * pricePerHour / Tokens * 1e6;
    }
}
