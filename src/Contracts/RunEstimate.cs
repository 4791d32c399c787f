namespace RlhfFunctions.Contracts;

/// <summary>POST /api/runs?validate=true: what a run would take.</summary>
/// <param name="Steps">PPO steps.</param>
/// <param name="MostTokens">The most tokens it can generate for learning.</param>
public sealed record RunEstimate(int Steps, long MostTokens)
{
    /// <summary>
    /// Bytes of a policy in memory: base, adapter and value head with their gradients and Adam's moments. Each of the shards that a
    /// machine rolls out side by side has one. Null where the base is on a hub that does not answer now.
    /// </summary>
    public long? MemoryBytes { get; init; }

    /// <summary>The finished run by whose figures time and cost are told: the newest one on the same model and device. Null: there is none.</summary>
    public string? Like { get; init; }

    /// <summary>Seconds until it is finished, if all its shards compute at once and it waits for nothing.</summary>
    public double? Seconds { get; init; }

    /// <summary>What it will cost.</summary>
    public RunCost? Cost { get; init; }
}
