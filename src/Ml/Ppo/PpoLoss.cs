using RlhfFunctions.Contracts;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Ppo;

/// <summary>
/// PPO's clipped objective (Schulman et al., arXiv:1707.06347, eq. 7) with a value loss clipped around the old values.
/// No entropy bonus. All tensors are scalars but <see cref="Ratio"/>.
/// </summary>
public sealed record PpoLoss
{
    /// <summary>Mean over tokens of max(−A·ratio, −A·clip(ratio, 1 − ε, 1 + ε)).</summary>
    public required Tensor Policy { get; init; }

    /// <summary>½ mean of max((V − R)², (V_clipped − R)²).</summary>
    public required Tensor Value { get; init; }

    /// <summary>Policy + coefficient · Value: what is differentiated.</summary>
    public required Tensor Total { get; init; }

    /// <summary>π_new / π_old of the sampled tokens. [b, R]</summary>
    public required Tensor Ratio { get; init; }

    /// <summary>Mean ratio over the tokens.</summary>
    public required Tensor MeanRatio { get; init; }

    /// <summary>½ mean of (log π_new − log π_old)².</summary>
    public required Tensor ApproximateKl { get; init; }

    /// <summary>Mean of log π_old − log π_new.</summary>
    public required Tensor PolicyKl { get; init; }

    /// <summary>Share of the tokens whose clipped policy loss is the larger one.</summary>
    public required Tensor PolicyClipFraction { get; init; }

    /// <summary>Mean of (V − R)².</summary>
    public required Tensor ValueError { get; init; }

    /// <summary>Share of the tokens whose clipped value loss is the larger one.</summary>
    public required Tensor ValueClipFraction { get; init; }

    /// <summary>The loss of a mini-batch; every response token weighs the same.</summary>
    /// <param name="logProbs">log π_new of the sampled tokens. [b, R]</param>
    /// <param name="values">V_new. [b, R]</param>
    /// <param name="targets">[b, R]</param>
    /// <param name="settings">Clip ranges and the value loss's weight.</param>
    public static PpoLoss Of(Tensor logProbs, Tensor values, PpoTargets targets, PpoSettings settings)
    {
        var isToken = targets.IsResponseToken; // [b, R]

        var logRatio = logProbs - targets.LogProbs; // [b, R]
        var ratio = logRatio.exp(); // [b, R]
        var free = -targets.Advantages * ratio; // [b, R]
        var clipped = -targets.Advantages * ratio.clamp(1 - settings.ClipRange, 1 + settings.ClipRange); // [b, R]
        var policyLoss = Masked.Mean(maximum(free, clipped), isToken); // []

        var low = targets.Values - settings.ValueClipRange; // [b, R]
        var high = targets.Values + settings.ValueClipRange; // [b, R]
        var freeErrors = (values - targets.Returns).square(); // [b, R]
        var clippedErrors = (minimum(maximum(values, low), high) - targets.Returns).square(); // [b, R]
        var valueLoss = 0.5 * Masked.Mean(maximum(freeErrors, clippedErrors), isToken); // []
        var totalLoss = policyLoss + (settings.ValueCoefficient * valueLoss); // []

        using var statistics = no_grad();
        return new()
        {
            Policy = policyLoss,
            Value = valueLoss,
            Total = totalLoss,
            Ratio = ratio.detach(),
            MeanRatio = Masked.Mean(ratio, isToken),
            ApproximateKl = 0.5 * Masked.Mean(logRatio.square(), isToken),
            PolicyKl = -Masked.Mean(logRatio, isToken),
            PolicyClipFraction = Masked.Mean(clipped.gt(free), isToken),
            ValueError = Masked.Mean(freeErrors, isToken),
            ValueClipFraction = Masked.Mean(clippedErrors.gt(freeErrors), isToken),
        };
    }
}
