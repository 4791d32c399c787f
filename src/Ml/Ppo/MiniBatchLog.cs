using RlhfFunctions.Contracts;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Ppo;

/// <summary>
/// The statistics of a step's mini-batches. As in TRL their means weigh every mini-batch of every epoch the same; skipped ones
/// don't count.
/// </summary>
internal sealed class MiniBatchLog
{
    private static readonly string[] Names =
    [
        MetricNames.PolicyLoss, MetricNames.ValueLoss, MetricNames.TotalLoss, MetricNames.Entropy, MetricNames.ApproximateKl,
        MetricNames.PolicyKl, MetricNames.ClipFraction, MetricNames.AdvantageMean, MetricNames.ReturnMean, MetricNames.ReturnVariance,
        MetricNames.ValuePrediction, MetricNames.ValueError, MetricNames.ValueClipFraction, MetricNames.ValueMean,
        MetricNames.ValueVariance,
    ];

    private readonly List<float[]> _rows = [];
    private readonly List<float> _advantages = [];
    private readonly List<float> _ratios = [];

    /// <summary>Mini-batches that moved nothing.</summary>
    public int Skipped { get; set; }

    /// <summary>Largest mean ratio of a mini-batch, skipped ones included; ∞ where one was not a number.</summary>
    public double LargestRatio { get; private set; }

    /// <summary>log π_old − log π_new of the latest mini-batch.</summary>
    public double LastPolicyKl { get; private set; }

    /// <summary>Whitened advantages of all real tokens seen, mini-batch by mini-batch.</summary>
    public float[] Advantages => [.. _advantages];

    /// <summary>Their ratios.</summary>
    public float[] Ratios => [.. _ratios];

    /// <summary>Records a mini-batch, or counts it as skipped; returns whether it may be learned from.</summary>
    public bool Add(PpoLoss loss, MiniBatch scored, PpoTargets old, double ratioThreshold)
    {
        using var _ = no_grad();
        var isToken = old.IsResponseToken; // [b, R]
        var numbers = stack(
        [
            loss.MeanRatio, loss.Policy, loss.Value, loss.Total, Masked.Mean(scored.Entropy, isToken), loss.ApproximateKl, loss.PolicyKl,
            loss.PolicyClipFraction, Masked.Mean(old.Advantages, isToken), Masked.Mean(old.Returns, isToken),
            Masked.Variance(old.Returns, isToken), Masked.Mean(scored.Values, isToken), loss.ValueError, loss.ValueClipFraction,
            Masked.Mean(old.Values, isToken), Masked.Variance(old.Values, isToken),
        ]).cpu().data<float>().ToArray(); // the ratio, then one number per name

        var (meanRatio, total) = (numbers[0], numbers[3]);
        LargestRatio = Math.Max(LargestRatio, float.IsNaN(meanRatio) ? double.PositiveInfinity : meanRatio);
        if (!float.IsFinite(total) || !(meanRatio <= ratioThreshold))
        {
            Skipped++;
            return false;
        }
        LastPolicyKl = numbers[6];
        _rows.Add(numbers[1..]);
        _advantages.AddRange(old.Advantages.masked_select(isToken).cpu().data<float>());
        _ratios.AddRange(loss.Ratio.masked_select(isToken).cpu().data<float>());
        return true;
    }

    /// <summary>Means by metric name over the mini-batches that have the number (one token has no variance).</summary>
    public IEnumerable<KeyValuePair<string, double>> Means() => _rows.Count == 0 ? [] :
        Names.Select((name, i) => KeyValuePair.Create(
            name, _rows.Select(row => (double)row[i]).Where(double.IsFinite).DefaultIfEmpty(double.NaN).Average()));
}
