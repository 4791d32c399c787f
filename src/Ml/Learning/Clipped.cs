using RlhfFunctions.Contracts;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Learning;

/// <summary>
/// PPO's clipped objective (Schulman et al., arXiv:1707.06347, eq. 7), of tokens or of whole responses: −min(ρ·A, clip(ρ)·A). The tensors
/// are [b, R], or [b, 1] where there is one ratio a response.
/// </summary>
/// <param name="Losses">Of each token.</param>
/// <param name="Ratio">ρ = π_new / π_old.</param>
/// <param name="IsLow">Where ρ fell below the range and the clip took the gradient.</param>
/// <param name="IsHigh">Where it rose above, likewise.</param>
public sealed record Clipped(Tensor Losses, Tensor Ratio, Tensor IsLow, Tensor IsHigh)
{
    /// <summary>Of some log-ratios.</summary>
    /// <param name="logRatio">log π_new − log π_old.</param>
    /// <param name="advantages">A.</param>
    /// <param name="low">ε below 1.</param>
    /// <param name="high">ε above 1.</param>
    /// <param name="cap">δ: where ρ ends outside of the clip; null: nowhere.</param>
    public static Clipped Of(Tensor logRatio, Tensor advantages, double low, double high, double? cap = null)
    {
        var ratio = logRatio.exp();
        var free = cap is { } delta ? ratio.clamp(max: delta) : ratio;
        var losses = maximum(-advantages * free, -advantages * ratio.clamp(1 - low, 1 + high));
        return new(losses, ratio, ratio.lt(1 - low).logical_and(advantages.lt(0)), ratio.gt(1 + high).logical_and(advantages.gt(0)));
    }

    /// <summary>Log-ratios of tokens as those of the level asked for. [b, R] → [b, R] or [b, 1]</summary>
    public static Tensor LogRatio(Tensor logRatio, Tensor isToken, RatioLevel level) => level switch
    {
        RatioLevel.Token => logRatio,
        RatioLevel.Sequence => (logRatio * isToken).sum(1, keepdim: true) / isToken.sum(1, keepdim: true).clamp(min: 1),
        _ => throw new ArgumentOutOfRangeException(nameof(level), level, "is no level."),
    };

    /// <summary>Shares of what was clipped, by TRL's names: over all tokens, and in the response that has least below or most above.</summary>
    /// <param name="isToken">[b, R]</param>
    internal (string, Tensor)[] Metrics(Tensor isToken)
    {
        var (low, high) = (IsLow.expand_as(isToken), IsHigh.expand_as(isToken)); // [b, R]
        return
        [
            (MetricNames.ClipLowMean, Masked.Mean(low, isToken)),
            (MetricNames.ClipLowMin, Shares(low).min()),
            (MetricNames.ClipHighMean, Masked.Mean(high, isToken)),
            (MetricNames.ClipHighMax, Shares(high).max()),
            (MetricNames.ClipRegionMean, Masked.Mean(low.logical_or(high), isToken)),
        ];

        Tensor Shares(Tensor x) => (x * isToken).sum(1) / isToken.sum(1).clamp(min: 1); // [b]
    }
}
