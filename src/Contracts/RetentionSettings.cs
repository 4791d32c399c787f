using System.ComponentModel.DataAnnotations;

namespace RlhfFunctions.Contracts;

/// <summary>
/// What a run keeps of its way. Checkpoint 0, the last one, every step's metrics and what is published are kept always; what is
/// gone can be made again from the request.
/// </summary>
public sealed record RetentionSettings
{
    /// <summary>The last checkpoints: where one is found broken, the run goes back to the one before.</summary>
    [Range(2, 1_000_000)]
    public int Checkpoints { get; init; } = 3;

    /// <summary>The last steps whose rollouts are kept.</summary>
    [Range(0, 1_000_000)]
    public int Rollouts { get; init; } = 3;
}
