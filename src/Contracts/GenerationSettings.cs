using System.ComponentModel.DataAnnotations;

namespace RlhfFunctions.Contracts;

/// <summary>
/// How responses are sampled. PPO scores a response by the softmax at the temperature; whatever else changes what is sampled
/// must be accepted by <see cref="AcceptBiasedSampling"/>.
/// </summary>
public sealed record GenerationSettings
{
    /// <summary>Tokens after which a response ends even without an end-of-text token.</summary>
    [Range(1, 100_000)]
    public int MaxNewTokens { get; init; } = 40;

    /// <summary>
    /// In rollouts each sample has a limit of its own, drawn uniformly from this one to <see cref="MaxNewTokens"/>, both included;
    /// null: all have <see cref="MaxNewTokens"/>.
    /// </summary>
    [Range(1, 100_000)]
    public int? MaxNewTokensLow { get; init; }

    /// <summary>Divides the logits before the softmax, in sampling and in scoring alike.</summary>
    [Range(0.01, 100.0)]
    public double Temperature { get; init; } = 1;

    /// <summary>Samples among the k most probable tokens, and those that tie with the last of them; 0: among all.</summary>
    [Range(0, 10_000_000)]
    public int TopK { get; init; }

    /// <summary>Samples among the most probable tokens that together reach this probability; 1: among all.</summary>
    [Range(1e-9, 1.0)]
    public double TopP { get; init; } = 1;

    /// <summary>Divides positive and multiplies negative logits of tokens that occur in prompt or response; 1: off.</summary>
    [Range(0.01, 100.0)]
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>Forbids the end of text while the response is shorter, in tokens; 0: off.</summary>
    [Range(0, 100_000)]
    public int MinNewTokens { get; init; }

    /// <summary>
    /// Accepts that rollouts are sampled from another distribution than the one they are scored by, as <see cref="TopK"/>,
    /// <see cref="TopP"/>, <see cref="RepetitionPenalty"/> and <see cref="MinNewTokens"/> make them: ratios and KL are wrong then.
    /// </summary>
    public bool AcceptBiasedSampling { get; init; }

    /// <summary>
    /// Token ids that end a response; null: those of the model's configuration, and <c>&lt;|im_end|&gt;</c> where its tokenizer
    /// has that; empty: none.
    /// </summary>
    public IReadOnlyList<int>? EndOfTextIds { get; init; }
}
