using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;

namespace RlhfFunctions.Contracts;

/// <summary>
/// When a run stops itself: after the checkpoint of the step that went too far, with the reason; what it has learned so far is
/// measured, but does not serve. Null: off. The defaults let through whatever still learns (the demo's KL stays below 5 nats, its
/// lengths between 15 and 20 tokens) and catch a policy that has collapsed.
/// </summary>
/// <remarks>Null is not the default here, so it is written down where our JSON leaves other nulls out.</remarks>
public sealed record AlarmSettings
{
    /// <summary>Largest KL from the reference summed over a response, in nats, mean over the step. Default: 5 × PPO's default target.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    [Range(1e-6, 1e9)]
    public double? MaxKl { get; init; } = 30;

    /// <summary>
    /// Largest mean probability ratio π_new / π_old of a mini-batch. Default: 10 × the default ratio at which a mini-batch is skipped;
    /// to skip one now and then does no harm.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    [Range(1.0, 1e9)]
    public double? MaxRatio { get; init; } = 100;

    /// <summary>How many times as long, or as short, as in the run's first step responses may become, by their mean length.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    [Range(1.0, 1e6)]
    public double? MaxLengthDrift { get; init; } = 3;
}
