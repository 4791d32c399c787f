using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;

namespace RlhfFunctions.Contracts;

/// <summary>By what a group's advantages are divided, after its mean is taken off.</summary>
public enum AdvantageScale
{
    /// <summary>The group's standard deviation.</summary>
    Group,

    /// <summary>The standard deviation of the whole batch.</summary>
    Batch,

    /// <summary>Nothing, as in Dr. GRPO (arXiv:2503.20783).</summary>
    None,
}

/// <summary>How the losses of tokens become one number; the names are TRL's.</summary>
public enum LossReduction
{
    /// <summary>The mean over the responses of the mean over their tokens.</summary>
    Grpo,

    /// <summary>The mean over the tokens of a mini-batch, as in PPO.</summary>
    Bnpo,

    /// <summary>The sum over the tokens, divided by responses × the longest a response may be (arXiv:2503.20783).</summary>
    [JsonStringEnumMemberName("dr_grpo")]
    DrGrpo,

    /// <summary>The mean over the tokens of all mini-batches of an optimizer step (arXiv:2503.14476).</summary>
    Dapo,
}

/// <summary>What a probability ratio is taken of.</summary>
public enum RatioLevel
{
    /// <summary>Each token.</summary>
    Token,

    /// <summary>The response: the geometric mean over its tokens (GSPO, arXiv:2507.18071).</summary>
    Sequence,
}

/// <summary>The algorithms that measure a sample by the others of its prompt, and need no value head for it.</summary>
public abstract record GroupSettings : SamplingSettings
{
    private protected GroupSettings(int groupSize, double klCoefficient)
        : base(epochs: 1, learningRate: 1e-5, maxGradientNorm: 1, klCoefficient) => GroupSize = groupSize;

    /// <summary>G: samples to a prompt; divides the batch.</summary>
    [Range(2, 1024)]
    public int GroupSize { get; init; }

    /// <summary>ε above 1, where it is another than <see cref="SamplingSettings.ClipRange"/> (DAPO: 0.28).</summary>
    [Range(0.0, 10.0)]
    public double? ClipRangeHigh { get; init; }

    public override int SamplesPerPrompt => GroupSize;
}

/// <summary>
/// The numbers of GRPO (arXiv:2402.03300) and its kin: Dr. GRPO, DAPO, GSPO. Defaults are those of TRL 1.16, with ten times its learning
/// rate because an adapter learns and not the whole model.
/// </summary>
public sealed record GrpoSettings : GroupSettings
{
    public GrpoSettings()
        : base(groupSize: 8, klCoefficient: 0)
    {
    }

    public override AlgorithmName Algorithm => AlgorithmName.Grpo;

    /// <summary>By what advantages are divided.</summary>
    public AdvantageScale ScaleRewards { get; init; } = AdvantageScale.Group;

    /// <summary>How the losses of tokens become one.</summary>
    public LossReduction Loss { get; init; } = LossReduction.Dapo;

    /// <summary>What the ratio is taken of.</summary>
    public RatioLevel Ratio { get; init; } = RatioLevel.Token;

    /// <summary>δ: the ratio is cut here before it meets its advantage; null: nowhere.</summary>
    [Range(1.0, 1e6)]
    public double? RatioCap { get; init; }

    /// <summary>Whether groups whose rewards are all equal are left out; they are counted in either case.</summary>
    public bool DropEqualGroups { get; init; }

    /// <summary>The last tokens before the length limit in which a response's score sinks linearly; null: it does not.</summary>
    [Range(1, 100_000)]
    public int? OverlongBuffer { get; init; }

    /// <summary>What the score has lost at the limit.</summary>
    [Range(0.0, 1e6)]
    public double OverlongPenalty { get; init; } = 1;

    /// <summary>Whether nothing is learned from responses that were cut off.</summary>
    public bool MaskTruncated { get; init; }
}

/// <summary>The numbers of RLOO (arXiv:2402.14740). Defaults are those of TRL 1.16, with ten times its learning rate as in <see cref="GrpoSettings"/>.</summary>
public sealed record RlooSettings : GroupSettings
{
    public RlooSettings()
        : base(groupSize: 2, klCoefficient: 0.05)
    {
    }

    public override AlgorithmName Algorithm => AlgorithmName.Rloo;

    /// <summary>Whether advantages are scaled to mean 0 and deviation 1 over the batch.</summary>
    public bool NormalizeAdvantages { get; init; }
}
