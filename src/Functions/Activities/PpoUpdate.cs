using System.Diagnostics;
using System.Text.Json;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Rewards;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;
using RlhfFunctions.Telemetry;

namespace RlhfFunctions.Activities;

/// <summary>
/// One step of the run's algorithm on the shards' samples: checkpoint k and samples → checkpoint k + 1 and the step's metrics. Where
/// <see cref="GradientShard"/> and <see cref="OptimizerStep"/> have made its steps of the optimizer, it only finishes them.
/// </summary>
public sealed class PpoUpdate(
    RunRequests requests, StepUpdates updates, Classifiers classifiers, StepMetrics stepMetrics, RunRetention retention, ArtifactStore artifacts,
    RunCancellation cancelled)
{
    [Function(FunctionNames.PpoUpdate)]
    public async Task<StepReport> Run([ActivityTrigger] PpoUpdateInput input, CancellationToken cancellation)
    {
        var request = await requests.GetAsync(input.RunId, cancellation);
        int steps = input.Step + 1;
        var report = await artifacts.MakeOnceAsync(
            BlobPaths.Checkpoint(input.RunId, steps), stop => cancelled.WatchAsync(input.RunId, until => UpdateAsync(input, request, until), stop), cancellation);
        await stepMetrics.KeepAsync(input.RunId, input.Step, cancellation);
        await retention.DiscardOneAsync(request, report, cancellation);
        return report;
    }

    private async Task<NewArtifact<StepReport>> UpdateAsync(PpoUpdateInput input, RunRequest request, CancellationToken cancellation)
    {
        var activity = Stopwatch.StartNew();
        bool isWatched = request.Watch is not null && request.Training is not DpoSettings;
        using var judge = isWatched ? await classifiers.FindJudgeAsync(input.Prepared, request, cancellation) : null;
        return await updates.TakeUpAsync(
            request,
            input.Prepared.Base,
            input.Step,
            input.OptimizerSteps,
            update =>
            {
                var stats = input.OptimizerSteps > 0
                    ? update.Pieces().Finish()
                    : PolicyUpdate.Run(update.Policy, update.State, update.Samples, update.Algorithm, update.Order, cancellation);
                var metrics = new Dictionary<string, double>(stats.Metrics);
                int? best = update.State.Watch.Best;
                if (isWatched)
                {
                    var watched = WatchSums.Of(update.Samples, Judged(judge, request, update.Samples, cancellation));
                    update.State.Watch = update.State.Watch.After(input.Step, watched, request.Watch!, request.Evaluation.MinToUnlearn);
                    foreach (var (name, value) in update.State.Watch.MetricsOf(watched)) metrics[name] = value;
                }

                if (update.Algorithm.Samples) metrics[MetricNames.TokensPerSecond] = input.Shards.Sum(shard => shard.ResponseTokens) / input.Shards.Max(shard => shard.Seconds);
                var terms = request.Reward?.Terms ?? [];
                for (int term = 0; term < terms.Count; term++)
                    metrics[MetricNames.RewardTerm(terms[term].Name)] = update.Samples.Average(sample => (double)sample.Terms[term]);
                var files = new Dictionary<string, byte[]>(update.State.ToFiles())
                {
                    [StepMetrics.FileName] = JsonSerializer.SerializeToUtf8Bytes(metrics, ContractsJson.Options),
                };
                var report = Report(input.Step, metrics) with
                {
                    Alarm = stats.Alarm,
                    Hack = stats.Alarm is null ? update.State.Watch.Hack : null,
                    Best = update.State.Watch.Best,
                    Replaced = update.State.Watch.Best == best ? null : best,
                    ActivitySeconds = activity.Elapsed.TotalSeconds,
                };
                Instruments.StepDone(input.RunId, input.Shards.Sum(shard => shard.ResponseTokens), report);
                return new NewArtifact<StepReport>(files, report);
            },
            cancellation);
    }

    /// <summary>The judge's probability of what is not wanted, of each response; null: there is no judge.</summary>
    private static IReadOnlyList<double>? Judged(LeasedReward? judge, RunRequest request, IReadOnlyList<RolloutSample> samples, CancellationToken cancellation)
    {
        var judged = judge?.Reward.Score([.. samples.Select(sample => PromptedResponse.Alone(sample.Text))], cancellation);
        return judged is null ? null : [.. judged.Select(score => request.Evaluation.Direction.Undesired(score.LabelProbability!.Value))];
    }

    private static StepReport Report(int step, Dictionary<string, double> metrics)
    {
        double? Find(string name) => metrics.TryGetValue(name, out double value) ? value : null;
        return new StepReport(
            step,
            Find(MetricNames.RewardMean) ?? Find(MetricNames.PreferenceMargin) ?? 0,
            Find(MetricNames.Kl),
            metrics[MetricNames.KlCoefficient],
            Find(MetricNames.LabelProbability),
            metrics[MetricNames.ResponseLengthMean],
            Find(MetricNames.TokensPerSecond));
    }
}
