using System.ComponentModel.DataAnnotations;

namespace RlhfFunctions.Contracts;

/// <summary>How the policy is measured before and after: same dialogues, same seeds, adapter off and on.</summary>
public sealed record EvaluationSettings
{
    /// <summary>
    /// The judge: a classifier other than the reward, so that a hacked reward shows. Null: there is none, and of a policy's responses
    /// only their likeness to the references, their length and their variety are measured.
    /// </summary>
    [RegularExpression(Contracts.Source.Pattern, ErrorMessage = Contracts.Source.Rule)]
    public string? Judge { get; init; }

    /// <summary>The judged label: the judge's label whose probability is reported.</summary>
    [MinLength(1)]
    public string Label { get; init; } = "hate";

    /// <summary>Which way that probability should go.</summary>
    public LabelDirection Direction { get; init; } = LabelDirection.Lower;

    /// <summary>Responses sampled for each held-out dialogue.</summary>
    [Range(1, 1000)]
    public int SamplesPerDialogue { get; init; } = 2;

    /// <summary>Responses generated at a time.</summary>
    [Range(1, 65_536)]
    public int BatchSize { get; init; } = 100;

    /// <summary>adapters/latest moves only if the judged label went the right way and ROUGE-L kept at least this share of what it was.</summary>
    [Range(0.0, 10.0)]
    public double MinRougeShare { get; init; } = 0.95;

    /// <summary>
    /// People decide: the adapter is held when the run ends, and serves only once it is promoted by a campaign that compares it with what
    /// serves then, and in which the lower end of its win rate's 95 % interval is at least this. Null: measurements decide alone.
    /// </summary>
    [Range(0.0, 1.0)]
    public double? MinHumanWinRate { get; init; }

    /// <summary>A policy whose mean undesired probability is below this before learning has nothing to unlearn; the run says so.</summary>
    [Range(0.0, 1.0)]
    public double MinToUnlearn { get; init; } = 0.05;
}

/// <summary>Which way a label's probability should go.</summary>
public enum LabelDirection
{
    /// <summary>The lower, the better.</summary>
    Lower,

    /// <summary>The higher, the better.</summary>
    Higher,
}

/// <summary>What a direction means.</summary>
public static class LabelDirections
{
    /// <summary>The probability of what is not wanted, from the label's: its own, or where higher is better that of its absence.</summary>
    public static double Undesired(this LabelDirection direction, double labelProbability)
    {
        return direction == LabelDirection.Lower ? labelProbability : 1 - labelProbability;
    }
}
