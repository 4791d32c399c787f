using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Rollout;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Learning;

/// <summary>What a step reports.</summary>
/// <param name="Metrics">
/// Numbers under <see cref="MetricNames"/>. A number that does not exist is absent: those of the mini-batches when all were
/// skipped, a variance of a single token, the judged label's probability where no classifier tells it.
/// </param>
/// <param name="Advantages">Whitened advantages of the real tokens, mini-batch by mini-batch and epoch by epoch.</param>
/// <param name="Ratios">π_new / π_old of the same tokens.</param>
public sealed record StepStats(IReadOnlyDictionary<string, double> Metrics, float[] Advantages, float[] Ratios)
{
    /// <summary>Why the run should stop after this step, or null.</summary>
    public string? Alarm { get; init; }

    /// <summary>Gathers them.</summary>
    internal static StepStats Of(
        IReadOnlyList<RolloutSample> samples, Algorithm algorithm, Objective objective, RolloutTensors batch, UpdateLog log, double klCoefficient,
        double learningRate)
    {
        using var scope = NewDisposeScope();
        var isToken = batch.IsResponseToken; // [B, R]
        var metrics = new Dictionary<string, double>([.. log.Means(), .. objective.Metrics])
        {
            [MetricNames.KlCoefficient] = klCoefficient,
            [MetricNames.LearningRate] = learningRate,
            [MetricNames.SkippedMiniBatches] = log.Skipped,
            [MetricNames.UpdateSeconds] = log.Seconds,
        };
        Spread(MetricNames.QueryLengthMean, MetricNames.QueryLengthDeviation, samples.Select(sample => (double)sample.Query.Length));
        Spread(
            MetricNames.ResponseLengthMean, MetricNames.ResponseLengthDeviation, samples.Select(sample => (double)sample.Response.Length));
        if (algorithm.Samples)
        {
            metrics[MetricNames.SequenceEntropy] = SequenceMean(-batch.LogProbs);
            metrics[MetricNames.LargestRatio] = log.LargestRatio;
            metrics[MetricNames.EndedShare] = samples.Average(sample => sample.HasEnded ? 1.0 : 0);
            Spread(MetricNames.ScoreMean, MetricNames.ScoreDeviation, objective.Scores);
            Spread(MetricNames.RewardMean, MetricNames.RewardDeviation, samples.Select(sample => (double)sample.Score));
            if (samples.Average(sample => sample.LabelProbability) is { } judged)
                metrics[MetricNames.LabelProbability] = judged;
        }
        if (algorithm.MeasuresKl)
        {
            metrics[MetricNames.Kl] = SequenceMean(batch.KlPenalties);
            metrics[MetricNames.KlEstimator3] = SequenceMean(TokenKl.Estimator3(batch.LogProbs, batch.ReferenceLogProbs));
        }
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
