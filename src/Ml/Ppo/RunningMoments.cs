namespace RlhfFunctions.Ml.Ppo;

/// <summary>Mean and variance of all scores of a run so far.</summary>
/// <param name="Mean">Running mean.</param>
/// <param name="Variance">Biased running variance.</param>
/// <param name="Count">Scores seen; a trace above zero at the start, so that the first batch decides.</param>
public sealed record RunningMoments(double Mean, double Variance, double Count)
{
    /// <summary>Before the first score.</summary>
    public static RunningMoments Start { get; } = new(0, 1, 1e-24);

    /// <summary>The unbiased standard deviation; 1 while fewer than two scores were seen.</summary>
    public double Deviation => Count < 2 ? 1 : Math.Sqrt(Variance * Count / (Count - 1));

    /// <summary>The moments after another batch (Chan, Golub and LeVeque's parallel update).</summary>
    public RunningMoments With(IReadOnlyCollection<double> scores)
    {
        var batchMean = scores.Average();
        var batchVariance = scores.Average(score => (score - batchMean) * (score - batchMean));
        var total = Count + scores.Count;
        var shift = batchMean - Mean;
        var squares = (batchVariance * scores.Count) + (Variance * Count) + (shift * shift * Count * scores.Count / total);
        return new(Mean + (shift * scores.Count / total), squares / total, total);
    }
}
