using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Rollout;

namespace RlhfFunctions.Ml.Learning;

/// <summary>What happens to the reward's scores before they become rewards: charge for length, scale by the running moments, then clip.</summary>
public static class Scores
{
    private const double SingleEpsilon = 1.1920929e-07;

    /// <summary>The reward's scores, less the penalty of a missing end where a response did not end by itself (TRL 0.12).</summary>
    public static double[] Charged(IReadOnlyList<RolloutSample> samples, double? missingEosPenalty) =>
        [.. samples.Select(sample => sample.Score - (sample.HasEnded ? 0 : missingEosPenalty ?? 0))];

    /// <summary>What a long response is charged (DAPO, arXiv:2503.14476, eq. 13): from 0 where the buffer begins to the penalty at the limit.</summary>
    /// <param name="length">Tokens of the response.</param>
    /// <param name="limit">Tokens that it may have.</param>
    /// <param name="buffer">The last of them, in which it is charged.</param>
    /// <param name="penalty">The most that it is charged.</param>
    public static double Overlong(int length, int limit, int buffer, double penalty) =>
        Math.Clamp(length - (limit - buffer), 0, buffer) / (double)buffer * penalty;

    /// <summary>The scores to learn from, and the moments after this batch (which the batch itself is scaled by, as in TRL).</summary>
    public static (double[] Scores, RunningMoments Moments) Apply(
        IReadOnlyCollection<double> scores, RunningMoments moments, PpoSettings settings)
    {
        var scaled = scores.ToArray();
        if (settings.ScaleScores)
        {
            moments = moments.With(scores);
            var shift = settings.NormalizeScores ? moments.Mean : 0;
            scaled = Array.ConvertAll(scaled, score => (score - shift) / (moments.Deviation + SingleEpsilon));
        }
        if (settings.ScoreClip is { } clip)
            scaled = Array.ConvertAll(scaled, score => Math.Clamp(score, -clip, clip));
        return (scaled, moments);
    }
}

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
