using System.ComponentModel.DataAnnotations;

namespace RlhfFunctions.Contracts;

/// <summary>What is made of h = β · (how much more the policy than the reference prefers the chosen response).</summary>
public enum PreferenceLoss
{
    /// <summary>−log σ(h) (arXiv:2305.18290).</summary>
    Sigmoid,

    /// <summary>(h/β per token − 1/(2β))² (arXiv:2310.12036).</summary>
    Ipo,

    /// <summary>max(0, 1 − h) (arXiv:2309.06657).</summary>
    Hinge,
}

/// <summary>The numbers of DPO. Defaults are those of TRL 1.16, with ten times its learning rate because an adapter learns and not the whole model.</summary>
public sealed record DpoSettings : TrainingSettings
{
    public DpoSettings()
        : base(epochs: 1, learningRate: 1e-5, maxGradientNorm: 1)
    {
    }

    public override AlgorithmName Algorithm => AlgorithmName.Dpo;

    /// <summary>β: how strongly the policy is held to the reference.</summary>
    [Range(1e-6, 1e3)]
    public double Beta { get; init; } = 0.1;

    /// <summary>The loss of a pair.</summary>
    public PreferenceLoss Loss { get; init; } = PreferenceLoss.Sigmoid;

    /// <summary>The share of preferences taken to be the wrong way round (arXiv:2403.00409); for the sigmoid alone.</summary>
    [Range(0.0, 0.49)]
    public double LabelSmoothing { get; init; }
}
