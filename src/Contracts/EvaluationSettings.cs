using System.ComponentModel.DataAnnotations;

namespace RlhfFunctions.Contracts;

/// <summary>How the policy is measured before and after: same dialogues, same seeds, adapter off and on.</summary>
public sealed record EvaluationSettings
{
    /// <summary>The judge: a RoBERTa classifier other than the reward, so that a hacked reward shows.</summary>
    [RegularExpression(Contracts.Source.Pattern, ErrorMessage = Contracts.Source.Rule)]
    public required string Judge { get; init; }

    /// <summary>The judge's label whose probability is reported.</summary>
    [MinLength(1)]
    public string HateLabel { get; init; } = "hate";

    /// <summary>Responses sampled for each held-out dialogue.</summary>
    [Range(1, 1000)]
    public int SamplesPerDialogue { get; init; } = 2;

    /// <summary>Responses generated at a time.</summary>
    [Range(1, 65_536)]
    public int BatchSize { get; init; } = 100;

    /// <summary>adapters/latest moves only if hate fell and ROUGE-L kept at least this share of what it was.</summary>
    [Range(0.0, 10.0)]
    public double MinRougeShare { get; init; } = 0.95;

    /// <summary>A policy whose mean hate probability is below this before learning has nothing to unlearn; the run says so.</summary>
    [Range(0.0, 1.0)]
    public double MinHateToUnlearn { get; init; } = 0.05;
}
