using System.Diagnostics;
using System.Text.Json;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;
using RlhfFunctions.Telemetry;

namespace RlhfFunctions.Activities;

/// <summary>
/// One step of the run's algorithm on the shards' samples: checkpoint k and samples → checkpoint k + 1 and the step's metrics. Where
/// <see cref="GradientShard"/> and <see cref="OptimizerStep"/> have made its steps of the optimizer, it only finishes them.
/// </summary>
public sealed class PpoUpdate(
    RunRequests requests, StepUpdates updates, StepMetrics stepMetrics, RunRetention retention, ArtifactStore artifacts, RunCancellation cancelled)
{
    [Function(FunctionNames.PpoUpdate)]
    public async Task<StepReport> Run([ActivityTrigger] PpoUpdateInput input, CancellationToken cancellation)
    {
        var request = await requests.GetAsync(input.RunId, cancellation);
        int steps = input.Step + 1;
        var report = await artifacts.MakeOnceAsync(
            BlobPaths.Checkpoint(input.RunId, steps), stop => cancelled.WatchAsync(input.RunId, until => UpdateAsync(input, request, until), stop), cancellation);
        await stepMetrics.KeepAsync(input.RunId, input.Step, cancellation);
        await retention.DiscardOneAsync(request, steps, cancellation);
        return report;
    }

    private Task<NewArtifact<StepReport>> UpdateAsync(PpoUpdateInput input, RunRequest request, CancellationToken cancellation)
    {
        var activity = Stopwatch.StartNew();
        return updates.TakeUpAsync(
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
                if (update.Algorithm.Samples) metrics[MetricNames.TokensPerSecond] = input.Shards.Sum(shard => shard.ResponseTokens) / input.Shards.Max(shard => shard.Seconds);
                var terms = request.Reward?.Terms ?? [];
                for (int term = 0; term < terms.Count; term++)
                    metrics[MetricNames.RewardTerm(terms[term].Name)] = update.Samples.Average(sample => (double)sample.Terms[term]);
                var files = new Dictionary<string, byte[]>(update.State.ToFiles())
                {
                    [StepMetrics.FileName] = JsonSerializer.SerializeToUtf8Bytes(metrics, ContractsJson.Options),
                };
                var report = Report(input.Step, metrics) with { Alarm = stats.Alarm, ActivitySeconds = activity.Elapsed.TotalSeconds };
                Instruments.StepDone(input.RunId, input.Shards.Sum(shard => shard.ResponseTokens), report);
                return new NewArtifact<StepReport>(files, report);
            },
            cancellation);
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
