using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Rollout;

namespace RlhfFunctions.Ml.Ppo;

/// <summary>What happens to the reward's scores before they become rewards: charge missing ends, scale by the running moments, then clip.</summary>
public static class ScoreScaling
{
    private const double SingleEpsilon = 1.1920929e-07;

    /// <summary>The reward's scores, less the penalty of a missing end where a response did not end by itself (TRL 0.12).</summary>
    public static double[] Charged(IReadOnlyList<RolloutSample> samples, PpoSettings settings) =>
        [.. samples.Select(sample => sample.Score - (sample.HasEnded ? 0 : settings.MissingEosPenalty ?? 0))];

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
