using System.ComponentModel.DataAnnotations;

namespace RlhfFunctions.Contracts;

/// <summary>How the distance from the reference is charged per token; d is log π − log π_ref of the sampled token.</summary>
public enum KlPenalty
{
    /// <summary>d itself (k1): unbiased, may be negative.</summary>
    Kl,

    /// <summary>|d|.</summary>
    Abs,

    /// <summary>d²/2.</summary>
    Mse,

    /// <summary>The exact divergence Σ π (log π − log π_ref) over the vocabulary.</summary>
    Full,
}

/// <summary>The numbers of PPO. Defaults are those of TRL 0.11's PPOConfig.</summary>
public sealed record PpoSettings : SamplingSettings
{
    public PpoSettings()
        : base(epochs: 4, learningRate: 1.41e-5, maxGradientNorm: null, klCoefficient: 0.2)
    {
    }

    public override AlgorithmName Algorithm => AlgorithmName.Ppo;

    /// <summary>The first steps of a run in which only the value head learns, so that the policy's first advantages mean something; 0: none.</summary>
    [Range(0, 1_000_000)]
    public int ValueWarmupSteps { get; init; }

    /// <summary>Adam's learning rate for the value head; null: the adapter's.</summary>
    [Range(0.0, 10.0)]
    public double? ValueHeadLearningRate { get; init; }

    /// <summary>Discount γ.</summary>
    [Range(0.0, 1.0)]
    public double Gamma { get; init; } = 1;

    /// <summary>λ of generalised advantage estimation.</summary>
    [Range(0.0, 1.0)]
    public double Lambda { get; init; } = 0.95;

    /// <summary>Absolute clip of the new value around the old one.</summary>
    [Range(0.0, 1e6)]
    public double ValueClipRange { get; init; } = 0.2;

    /// <summary>Weight of the value loss.</summary>
    [Range(0.0, 1e3)]
    public double ValueCoefficient { get; init; } = 0.1;

    /// <summary>The per-token penalty for leaving the reference.</summary>
    public KlPenalty KlPenalty { get; init; } = KlPenalty.Kl;

    /// <summary>Whether β follows <see cref="TargetKl"/>.</summary>
    public bool AdaptiveKl { get; init; } = true;

    /// <summary>Target of the KL summed over a response, in nats.</summary>
    [Range(1e-6, 1e6)]
    public double TargetKl { get; init; } = 6;

    /// <summary>Samples over which β adapts.</summary>
    [Range(1.0, 1e12)]
    public double KlHorizon { get; init; } = 10_000;

    /// <summary>Whether per-token rewards are scaled to unit variance over the batch.</summary>
    public bool WhitenRewards { get; init; }

    /// <summary>Scores are clipped to ± this; null: not clipped.</summary>
    [Range(1e-9, 1e9)]
    public double? ScoreClip { get; init; }

    /// <summary>Whether scores are divided by their running standard deviation.</summary>
    public bool ScaleScores { get; init; }

    /// <summary>Whether their running mean is subtracted first (only with <see cref="ScaleScores"/>).</summary>
    public bool NormalizeScores { get; init; }

    /// <summary>Whether the epochs end once the policy has moved further than 1.5 × <see cref="TargetPolicyKl"/>.</summary>
    public bool EarlyStopping { get; init; }

    /// <summary>Tolerated mean log-ratio of old to new policy in a step, for <see cref="EarlyStopping"/>.</summary>
    [Range(0.0, 1e6)]
    public double TargetPolicyKl { get; init; } = 1;
}
