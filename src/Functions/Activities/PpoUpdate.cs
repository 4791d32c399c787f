using System.Diagnostics;
using System.Text.Json;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Ppo;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;
using RlhfFunctions.Telemetry;

namespace RlhfFunctions.Activities;

/// <summary>One PPO step on the shards' rollouts: checkpoint k and rollouts → checkpoint k + 1 and the step's metrics.</summary>
public sealed class PpoUpdate(
    RunRequests requests, Checkpoints checkpoints, StepMetrics stepMetrics, RunRetention retention, PolicyPool policies, ComputeGate gate, ArtifactStore artifacts,
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
        await retention.DiscardOneAsync(request, steps, cancellation);
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
        var samples = RolloutFile.Merge(shards);

        return await policies.UseAsync(
            input.Prepared.Base,
            request,
            request.Compute.UpdateThreads,
            loaded =>
            {
                using var state = TrainingState.Restore(loaded.Policy, checkpoint);
                var order = Ml.Ppo.PpoUpdate.EpochOrder((ulong)request.Seed, input.Step, samples.Count);
                var stats = Ml.Ppo.PpoUpdate.Run(
                    loaded.Policy, state, samples, request.Ppo, request.Generation.Temperature, order, cancellation);
                var metrics = new Dictionary<string, double>(stats.Metrics)
                {
                    [MetricNames.TokensPerSecond] = input.Shards.Sum(shard => shard.ResponseTokens) / input.Shards.Max(shard => shard.Seconds),
                };
                for (int term = 0; term < request.Reward.Terms.Count; term++)
                    metrics[MetricNames.RewardTerm(request.Reward.Terms[term].Name)] = samples.Average(sample => (double)sample.Terms[term]);
                var files = new Dictionary<string, byte[]>(state.ToFiles())
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
        return new StepReport(
            step,
            metrics[MetricNames.RewardMean],
            metrics.TryGetValue(MetricNames.Kl, out double kl) ? kl : null,
            metrics[MetricNames.KlCoefficient],
            metrics.TryGetValue(MetricNames.HateProbability, out double hate) ? hate : null,
            metrics[MetricNames.ResponseLengthMean],
            metrics[MetricNames.TokensPerSecond]);
    }
}
