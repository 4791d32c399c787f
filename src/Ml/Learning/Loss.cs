using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Learning;

/// <summary>What a mini-batch of samples is to learn.</summary>
/// <param name="Total">The scalar that is differentiated: the mini-batch's share of the optimizer step's loss.</param>
/// <param name="MeanRatio">Mean of π_new / π_old; not a number where the loss is none.</param>
/// <param name="Metrics">Numbers to report, by metric name.</param>
internal sealed record Loss(Tensor Total, double MeanRatio, IReadOnlyDictionary<string, double> Metrics)
{
    private bool IsFinite { get; init; }

    /// <summary>Advantages of the tokens that are learned from; empty where there are none.</summary>
    public float[] Advantages { get; init; } = [];

    /// <summary>Their ratios.</summary>
    public float[] Ratios { get; init; } = [];

    /// <summary>Whether it may be learned from: it is a number, and the policy is not off by more than a ratio.</summary>
    public bool IsSound(double largestRatio) => IsFinite && MeanRatio <= largestRatio;

    /// <summary>A loss with its numbers read from the device, all at once.</summary>
    /// <param name="total">See <see cref="Total"/>.</param>
    /// <param name="ratio">π_new / π_old, [b, R] or [b, 1]; null where no ratio is taken.</param>
    /// <param name="advantages">Of the same shape, or one that it is broadcast to.</param>
    /// <param name="isToken">What of it counts. [b, R]</param>
    /// <param name="metrics">Scalars by metric name.</param>
    public static Loss Of(Tensor total, Tensor? ratio, Tensor? advantages, Tensor isToken, params (string Name, Tensor Value)[] metrics)
    {
        using var _ = no_grad();
        var meanRatio = ratio is null ? total - total + 1 : Masked.Mean(ratio.expand_as(isToken), isToken); // []
        var numbers = stack([total, meanRatio, .. metrics.Select(metric => metric.Value)]).to(float64).cpu().data<double>().ToArray();
        return new(total, numbers[1], metrics.Select((metric, i) => KeyValuePair.Create(metric.Name, numbers[i + 2])).ToDictionary())
        {
            IsFinite = double.IsFinite(numbers[0]),
            Advantages = Tokens(advantages),
            Ratios = Tokens(ratio),
        };

        float[] Tokens(Tensor? x) => x is null ? [] : [.. x.expand_as(isToken).masked_select(isToken).to(float32).cpu().data<float>()];
    }
}
