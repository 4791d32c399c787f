using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;

namespace RlhfFunctions.Contracts;

/// <summary>
/// How a run is watched for a policy that exploits a fault of its reward. What is looked at is told from the step's own rollouts, and
/// by the judge, where there is one; docs/algorithm.md has the rule and its reasons. A run that is caught stops, and its best
/// checkpoint is published instead of its last. Nothing is watched where preferences are learned from.
/// </summary>
/// <remarks>Null is not the default of the signs, so it is written down where our JSON leaves other nulls out.</remarks>
public sealed record WatchSettings
{
    /// <summary>Every so many steps it is looked at, over the rollouts since the time before.</summary>
    [Range(1, 1_000_000)]
    public int EverySteps { get; init; } = 4;

    /// <summary>So many times in a row a sign must be seen before the run stops.</summary>
    [Range(1, 1000)]
    public int Patience { get; init; } = 2;

    /// <summary>The least share of the reward's gain that the judge must see, each in its own deviations; null: not looked at.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    [Range(0.0, 1.0)]
    public double? MinJudgedGain { get; init; } = 0.5;

    /// <summary>By how much the judge's mean probability of what is not wanted may rise again from where it was least; null: not looked at.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    [Range(0.0, 1.0)]
    public double? MaxJudgedLoss { get; init; } = 0.1;

    /// <summary>The least share of the reward's gain that must be left when what the change of length brings is taken out; null: not looked at.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    [Range(0.0, 1.0)]
    public double? MinLengthControlledGain { get; init; } = 0.4;

    /// <summary>The least share that must be left of the distinct word pairs of the beginning; null: not looked at.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    [Range(0.0, 1.0)]
    public double? MinDistinctShare { get; init; } = 0.8;

    /// <summary>How many times as large as in the beginning the responses' perplexity under the base may become; null: not looked at.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    [Range(1.0, 1e9)]
    public double? MaxPerplexityRise { get; init; } = 1.1;

    /// <summary>How many times as far apart as in the beginning the members of the reward's ensemble may become; null: not looked at.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    [Range(1.0, 1e9)]
    public double? MaxDisagreementRise { get; init; } = 2;
}
