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

/// <summary>The numbers of PPO. Defaults are those of TRL 0.11's PPOConfig unless a comment says otherwise.</summary>
public sealed record PpoSettings
{
    /// <summary>PPO steps: each rolls out <see cref="BatchSize"/> samples and updates the adapter on them.</summary>
    [Range(1, 1_000_000)]
    public int Steps { get; init; } = 60;

    /// <summary>Samples in a step.</summary>
    [Range(2, 65_536)]
    public int BatchSize { get; init; } = 32;

    /// <summary>Samples in a forward and backward pass; divides the batch.</summary>
    [Range(1, 65_536)]
    public int MiniBatchSize { get; init; } = 8;

    /// <summary>Mini-batches whose gradients are averaged before the optimizer steps.</summary>
    [Range(1, 65_536)]
    public int GradientAccumulationSteps { get; init; } = 1;

    /// <summary>Passes over the batch in a step.</summary>
    [Range(1, 1000)]
    public int Epochs { get; init; } = 4;

    /// <summary>The first steps of a run in which only the value head learns, so that the policy's first advantages mean something; 0: none.</summary>
    [Range(0, 1_000_000)]
    public int ValueWarmupSteps { get; init; }

    /// <summary>Adam's learning rate for the adapter.</summary>
    [Range(0.0, 10.0)]
    public double LearningRate { get; init; } = 1.41e-5;

    /// <summary>Adam's learning rate for the value head; null: the adapter's.</summary>
    [Range(0.0, 10.0)]
    public double? ValueHeadLearningRate { get; init; }

    /// <summary>Share of the learning rates that is left at the last step, reached linearly; 1: constant.</summary>
    [Range(0.0, 1.0)]
    public double FinalLearningRateShare { get; init; } = 1;

    /// <summary>Discount γ.</summary>
    [Range(0.0, 1.0)]
    public double Gamma { get; init; } = 1;

    /// <summary>λ of generalised advantage estimation.</summary>
    [Range(0.0, 1.0)]
    public double Lambda { get; init; } = 0.95;

    /// <summary>ε: the probability ratio is clipped to [1 − ε, 1 + ε].</summary>
    [Range(0.0, 10.0)]
    public double ClipRange { get; init; } = 0.2;

    /// <summary>Absolute clip of the new value around the old one.</summary>
    [Range(0.0, 1e6)]
    public double ValueClipRange { get; init; } = 0.2;

    /// <summary>Weight of the value loss.</summary>
    [Range(0.0, 1e3)]
    public double ValueCoefficient { get; init; } = 0.1;

    /// <summary>Global L2 norm to which gradients are clipped at every optimizer step; null: not clipped.</summary>
    [Range(1e-9, 1e9)]
    public double? MaxGradientNorm { get; init; }

    /// <summary>The per-token penalty for leaving the reference.</summary>
    public KlPenalty KlPenalty { get; init; } = KlPenalty.Kl;

    /// <summary>The KL coefficient β at step 0.</summary>
    [Range(0.0, 1e3)]
    public double KlCoefficient { get; init; } = 0.2;

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

    /// <summary>Taken from the score of a response that has no end-of-text token; null: nothing is taken (TRL 0.12's missing_eos_penalty).</summary>
    [Range(0.0, 1e6)]
    public double? MissingEosPenalty { get; init; }

    /// <summary>Scores are clipped to ± this; null: not clipped.</summary>
    [Range(1e-9, 1e9)]
    public double? ScoreClip { get; init; }

    /// <summary>Whether scores are divided by their running standard deviation.</summary>
    public bool ScaleScores { get; init; }

    /// <summary>Whether their running mean is subtracted first (only with <see cref="ScaleScores"/>).</summary>
    public bool NormalizeScores { get; init; }

    /// <summary>A mini-batch whose mean ratio is above this is skipped.</summary>
    [Range(1.0, 1e9)]
    public double RatioThreshold { get; init; } = 10;

    /// <summary>Whether the epochs end once the policy has moved further than 1.5 × <see cref="TargetPolicyKl"/>.</summary>
    public bool EarlyStopping { get; init; }

    /// <summary>Tolerated mean log-ratio of old to new policy in a step, for <see cref="EarlyStopping"/>.</summary>
    [Range(0.0, 1e6)]
    public double TargetPolicyKl { get; init; } = 1;

    /// <summary>When the run stops itself.</summary>
    public AlarmSettings Alarms { get; init; } = new();
}
