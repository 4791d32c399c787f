using System.ComponentModel.DataAnnotations;

namespace RlhfFunctions.Contracts;

/// <summary>The reward: a classifier's logit of one label, of the response alone.</summary>
public sealed record RewardSettings
{
    /// <summary>A RoBERTa classifier's Hugging Face folder.</summary>
    [RegularExpression(Contracts.Source.Pattern, ErrorMessage = Contracts.Source.Rule)]
    public required string Source { get; init; }

    /// <summary>The label whose logit is the reward, picked by name, never by rank.</summary>
    [MinLength(1)]
    public string Label { get; init; } = "nothate";

    /// <summary>The label whose probability is reported as hate.</summary>
    [MinLength(1)]
    public string HateLabel { get; init; } = "hate";
}
