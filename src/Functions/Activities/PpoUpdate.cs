using System.Diagnostics;
using System.Text.Json;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Rewards;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;
using RlhfFunctions.Telemetry;

namespace RlhfFunctions.Activities;

/// <summary>One step of the run's algorithm on the shards' samples: checkpoint k and samples → checkpoint k + 1 and the step's metrics.</summary>
public sealed class PpoUpdate(
    RunRequests requests, Checkpoints checkpoints, StepMetrics stepMetrics, RunRetention retention, PolicyPool policies, Classifiers classifiers, ComputeGate gate,
    ArtifactStore artifacts, RunCancellation cancelled)
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
        using var turn = await gate.EnterAsync(request.Compute, request.Compute.UpdateThreads, cancellation);
        var checkpoint = await checkpoints.ReadAsync(input.RunId, input.Step, cancellation);
        var shards = new List<IReadOnlyList<RolloutSample>>();
        foreach (var shard in input.Shards)
            shards.Add(RolloutFile.Read(await artifacts.ReadFileAsync(shard.Path, RolloutShard.FileName, cancellation)));
        var algorithm = Algorithm.Of(request.Training, request.Generation);
        var samples = RolloutFile.Merge(shards);
        if (!algorithm.Samples) samples = PairsOf(samples, input.Step, request);
        var watched = algorithm.Samples && request.Watch is not null ? WatchSums.Of(samples, await JudgeAsync(input.Prepared, request, samples, cancellation)) : null;

        return await policies.UseAsync(
            input.Prepared.Base,
            request,
            request.Compute.UpdateThreads,
            loaded =>
            {
                using var state = TrainingState.Restore(loaded.Policy, checkpoint);
                var order = PolicyUpdate.EpochOrder((ulong)request.Seed, input.Step);
                var stats = PolicyUpdate.Run(loaded.Policy, state, samples, algorithm, order, cancellation);
                var metrics = new Dictionary<string, double>(stats.Metrics);
                int? best = state.Watch.Best;
                if (watched is not null)
                {
                    state.Watch = state.Watch.After(input.Step, watched, request.Watch!, request.Evaluation.MinToUnlearn);
                    foreach (var (name, value) in state.Watch.MetricsOf(watched)) metrics[name] = value;
                }

                if (algorithm.Samples) metrics[MetricNames.TokensPerSecond] = input.Shards.Sum(shard => shard.ResponseTokens) / input.Shards.Max(shard => shard.Seconds);
                var terms = request.Reward?.Terms ?? [];
                for (int term = 0; term < terms.Count; term++)
                    metrics[MetricNames.RewardTerm(terms[term].Name)] = samples.Average(sample => (double)sample.Terms[term]);
                var files = new Dictionary<string, byte[]>(state.ToFiles())
                {
                    [StepMetrics.FileName] = JsonSerializer.SerializeToUtf8Bytes(metrics, ContractsJson.Options),
                };
                var report = Report(input.Step, metrics) with
                {
                    Alarm = stats.Alarm,
                    Hack = stats.Alarm is null ? state.Watch.Hack : null,
                    Best = state.Watch.Best,
                    Replaced = state.Watch.Best == best ? null : best,
                    ActivitySeconds = activity.Elapsed.TotalSeconds,
                };
                Instruments.StepDone(input.RunId, input.Shards.Sum(shard => shard.ResponseTokens), report);
                return new NewArtifact<StepReport>(files, report);
            },
            cancellation);
    }

    /// <summary>The judge's probability of what is not wanted, of each response; null: there is no judge.</summary>
    private async Task<IReadOnlyList<double>?> JudgeAsync(
        PreparedRun prepared, RunRequest request, IReadOnlyList<RolloutSample> samples, CancellationToken cancellation)
    {
        using var judge = await classifiers.FindJudgeAsync(prepared, request, cancellation);
        var judged = judge?.Reward.Score([.. samples.Select(sample => PromptedResponse.Alone(sample.Text))], cancellation);
        return judged is null ? null : [.. judged.Select(score => request.Evaluation.Direction.Undesired(score.LabelProbability!.Value))];
    }

    /// <summary>A step's preferences, chosen and rejected in turns: every pass over the file in an order of its own.</summary>
    private static IReadOnlyList<RolloutSample> PairsOf(IReadOnlyList<RolloutSample> preferences, int step, RunRequest request)
    {
        return [.. PromptOrder.Batch((ulong)request.Seed, preferences.Count / 2, request.Training.BatchSize, step)
            .SelectMany(pair => new[] { preferences[2 * pair], preferences[(2 * pair) + 1] })];
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
