using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace RlhfFunctions.Contracts;

/// <summary>How a run learns; its settings stand in the section of the same name.</summary>
public enum AlgorithmName
{
    /// <summary>Proximal policy optimisation with a value head.</summary>
    Ppo,

    /// <summary>Group relative policy optimisation: a sample is measured by the others of its prompt.</summary>
    Grpo,

    /// <summary>REINFORCE, leave one out.</summary>
    Rloo,

    /// <summary>Direct preference optimisation: learns from preferences, samples nothing.</summary>
    Dpo,
}

/// <summary>What all algorithms have; each has defaults of its own.</summary>
public abstract record TrainingSettings
{
    private protected TrainingSettings(int epochs, double learningRate, double? maxGradientNorm) =>
        (Epochs, LearningRate, MaxGradientNorm) = (epochs, learningRate, maxGradientNorm);

    /// <summary>The algorithm these are the settings of.</summary>
    [JsonIgnore]
    public abstract AlgorithmName Algorithm { get; }

    /// <summary>Their place in the request.</summary>
    [JsonIgnore]
    public string Section => JsonNamingPolicy.CamelCase.ConvertName(Algorithm.ToString());

    /// <summary>Samples to a prompt.</summary>
    [JsonIgnore]
    public virtual int SamplesPerPrompt => 1;

    /// <summary>Steps: each takes <see cref="BatchSize"/> samples and updates the adapter on them.</summary>
    [Range(1, 1_000_000)]
    public int Steps { get; init; } = 60;

    /// <summary>Samples in a step; pairs, where preferences are learned from.</summary>
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
    public int Epochs { get; init; }

    /// <summary>Adam's learning rate for the adapter.</summary>
    [Range(0.0, 10.0)]
    public double LearningRate { get; init; }

    /// <summary>Share of the learning rates that is left at the last step, reached linearly; 1: constant.</summary>
    [Range(0.0, 1.0)]
    public double FinalLearningRateShare { get; init; } = 1;

    /// <summary>Global L2 norm to which gradients are clipped at every optimizer step; null: not clipped.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)] // null is not everybody's default
    [Range(1e-9, 1e9)]
    public double? MaxGradientNorm { get; init; }

    /// <summary>When the run stops itself.</summary>
    public AlarmSettings Alarms { get; init; } = new();
}

/// <summary>What the algorithms have that learn from what the policy itself samples.</summary>
public abstract record SamplingSettings : TrainingSettings
{
    private protected SamplingSettings(int epochs, double learningRate, double? maxGradientNorm, double klCoefficient)
        : base(epochs, learningRate, maxGradientNorm) => KlCoefficient = klCoefficient;

    /// <summary>β: what leaving the reference costs, at step 0.</summary>
    [Range(0.0, 1e3)]
    public double KlCoefficient { get; init; }

    /// <summary>ε: the probability ratio is clipped to [1 − ε, 1 + ε].</summary>
    [Range(0.0, 10.0)]
    public double ClipRange { get; init; } = 0.2;

    /// <summary>A mini-batch whose mean ratio is above this is skipped.</summary>
    [Range(1.0, 1e9)]
    public double RatioThreshold { get; init; } = 10;

    /// <summary>Taken from the score of a response that has no end-of-text token; null: nothing is taken (TRL 0.12's missing_eos_penalty).</summary>
    [Range(0.0, 1e6)]
    public double? MissingEosPenalty { get; init; }
}
