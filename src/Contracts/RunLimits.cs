using System.ComponentModel.DataAnnotations;

namespace RlhfFunctions.Contracts;

/// <summary>
/// What a run may take: it stops after the checkpoint of the step that reached a limit, and is then measured and published, but
/// does not serve. Null: no limit. One step is always done.
/// </summary>
public sealed record RunLimits
{
    /// <summary>Hours since the run began, waiting for replicas included.</summary>
    [Range(1e-6, 1e6)]
    public double? MaxHours { get; init; }

    /// <summary>Cost of the computing (<see cref="RunCost.Money"/>), in the currency of the app's price; needs one.</summary>
    [Range(1e-6, 1e9)]
    public double? MaxCost { get; init; }

    /// <summary>Which limit is reached, in a sentence; null: none.</summary>
    /// <param name="hours">Hours since the run began.</param>
    /// <param name="cost">What it has cost.</param>
    public string? Reached(double hours, RunCost cost)
    {
        if (hours >= MaxHours) return $"It has taken {hours:G3} hours, and limits.maxHours is {MaxHours}.";
        if (cost.Money >= MaxCost) return $"It has cost {cost.Money:G3} {cost.Currency}, and limits.maxCost is {MaxCost}.";
        return null;
    }
}
