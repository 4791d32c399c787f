using System.ComponentModel.DataAnnotations;

namespace RlhfFunctions.Contracts;

/// <summary>How responses are sampled. Rollouts use the temperature alone, so that the scored distribution is the sampled one.</summary>
public sealed record GenerationSettings
{
    /// <summary>Tokens after which a response ends even without an end-of-text token.</summary>
    [Range(1, 100_000)]
    public int MaxNewTokens { get; init; } = 40;

    /// <summary>Divides the logits before the softmax, in sampling and in scoring alike.</summary>
    [Range(0.01, 100.0)]
    public double Temperature { get; init; } = 1;

    /// <summary>Token ids that end a response; null: those of the model's configuration.</summary>
    public IReadOnlyList<int>? EndOfTextIds { get; init; }
}
