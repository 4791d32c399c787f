using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Rollout;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Ppo;

/// <summary>What a step reports.</summary>
/// <param name="Metrics">
/// Numbers under <see cref="MetricNames"/>. A number that does not exist is absent: those of the mini-batches when all were
/// skipped, a variance of a single token, the hate probability where no classifier rewards.
/// </param>
/// <param name="Advantages">Whitened advantages of the real tokens, mini-batch by mini-batch and epoch by epoch.</param>
/// <param name="Ratios">π_new / π_old of the same tokens.</param>
public sealed record PpoStats(IReadOnlyDictionary<string, double> Metrics, float[] Advantages, float[] Ratios)
{
    /// <summary>Why the run should stop after this step, or null.</summary>
    public string? Alarm { get; init; }

    /// <summary>Gathers them; <paramref name="scores"/> are those after scaling and clipping.</summary>
    internal static PpoStats Of(
        IReadOnlyList<RolloutSample> samples, double[] scores, RolloutTensors batch, MiniBatchLog log, double klCoefficient,
        double learningRate, TimeSpan elapsed)
    {
        using var scope = NewDisposeScope();
        var isToken = batch.IsResponseToken; // [B, R]
        var difference = (batch.LogProbs - batch.ReferenceLogProbs) * isToken; // [B, R]
        var metrics = new Dictionary<string, double>(log.Means())
        {
            [MetricNames.Kl] = SequenceMean(batch.KlPenalties),
            [MetricNames.KlEstimator3] = SequenceMean((-difference).exp() - 1 + difference),
            [MetricNames.KlCoefficient] = klCoefficient,
            [MetricNames.SequenceEntropy] = SequenceMean(-batch.LogProbs),
            [MetricNames.NonScoreReward] = -klCoefficient * Masked.Mean(batch.KlPenalties, isToken).item<float>(),
            [MetricNames.LearningRate] = learningRate,
            [MetricNames.LargestRatio] = log.LargestRatio,
            [MetricNames.EndedShare] = samples.Average(sample => sample.HasEnded ? 1.0 : 0),
            [MetricNames.SkippedMiniBatches] = log.Skipped,
            [MetricNames.UpdateSeconds] = elapsed.TotalSeconds,
        };
        if (samples.Average(sample => sample.HateProbability) is { } hate)
            metrics[MetricNames.HateProbability] = hate;
        Spread(MetricNames.ScoreMean, MetricNames.ScoreDeviation, scores);
        Spread(MetricNames.RewardMean, MetricNames.RewardDeviation, samples.Select(sample => (double)sample.Score));
        Spread(MetricNames.QueryLengthMean, MetricNames.QueryLengthDeviation, samples.Select(sample => (double)sample.Query.Length));
        Spread(
            MetricNames.ResponseLengthMean, MetricNames.ResponseLengthDeviation, samples.Select(sample => (double)sample.Response.Length));
        if (metrics.TryGetValue(MetricNames.ValueError, out var error))
            metrics[MetricNames.ExplainedVariance] = 1 - (error / metrics[MetricNames.ReturnVariance]);
        return new(metrics.Where(metric => double.IsFinite(metric.Value)).ToDictionary(), log.Advantages, log.Ratios);

        double SequenceMean(Tensor x) => (x * isToken).sum(1).mean().item<float>();

        void Spread(string meanName, string deviationName, IEnumerable<double> numbers)
        {
            var all = numbers.ToArray();
            var mean = all.Average();
            metrics[meanName] = mean;
            metrics[deviationName] = Math.Sqrt(all.Sum(x => (x - mean) * (x - mean)) / (all.Length - 1));
        }
    }
}
