using System.Diagnostics;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>One shard of a step's rollouts: responses, their scores, log-probabilities and values.</summary>
public sealed class RolloutShard(
    RunRequests requests, Datasets datasets, Checkpoints checkpoints, PolicyPool policies, Classifiers classifiers, ComputeGate gate, ArtifactStore artifacts,
    RunCancellation cancelled)
{
    [Function(FunctionNames.RolloutShard)]
    public async Task<RolloutShardResult> Run([ActivityTrigger] RolloutShardInput input, CancellationToken cancellation)
    {
        string path = BlobPaths.Rollout(input.RunId, input.Step, input.Shard);
        var request = await requests.GetAsync(input.RunId, cancellation);
        return await artifacts.MakeOnceAsync(path, stop => cancelled.WatchAsync(input.RunId, until => RollOutAsync(input, request, path, until), stop), cancellation);
    }

    private async Task<NewArtifact<RolloutShardResult>> RollOutAsync(
        RolloutShardInput input, RunRequest request, string path, CancellationToken cancellation)
    {
        var activity = Stopwatch.StartNew();
        using var turn = await gate.EnterAsync(request.Compute, request.Compute.RolloutThreads, cancellation);
        var dataset = await datasets.GetAsync(input.Prepared.Dataset, cancellation);
        var checkpoint = await checkpoints.ReadAsync(input.RunId, input.Step, cancellation);
        using var reward = await classifiers.RewardAsync(input.Prepared, request, cancellation);

        var (batchSize, perPrompt) = (request.Training.BatchSize, request.Training.SamplesPerPrompt);
        int first = batchSize * input.Shard / request.Compute.RolloutShards;
        int end = batchSize * (input.Shard + 1) / request.Compute.RolloutShards;
        var rows = PromptOrder.Batch((ulong)request.Seed, dataset.Train.Count, batchSize / perPrompt, input.Step);
        PreparedDialogue[] dialogues = [.. Enumerable.Range(first, end - first).Select(sample => dataset.Train[rows[sample / perPrompt]])];
        int[][] prompts = Array.ConvertAll(dialogues, dialogue => dialogue.PromptIds);
        string[] references = Array.ConvertAll(dialogues, dialogue => dialogue.Summary);
        var plan = new RolloutPlan
        {
            RunSeed = (ulong)request.Seed,
            Step = input.Step,
            FirstSample = first,
            Generation = request.Generation,
            KlPenalty = Algorithm.Of(request.Training, request.Generation).Penalty,
            ScoringBatchSize = request.Training.MiniBatchSize,
        };

        return await policies.UseAsync(
            input.Prepared.Base,
            request,
            request.Compute.RolloutThreads,
            loaded =>
            {
                var clock = Stopwatch.StartNew();
                TrainingState.RestoreParameters(loaded.Policy, checkpoint);
                var ended = plan with { Generation = loaded.WithEndOfText(plan.Generation) };
                var samples = RolloutCollector.Collect(loaded.Policy, loaded.Text.Decode, reward.Reward, prompts, ended, cancellation, references);
                var result = new RolloutShardResult(path, samples.Sum(sample => sample.Response.Length), clock.Elapsed.TotalSeconds, activity.Elapsed.TotalSeconds);
                return new NewArtifact<RolloutShardResult>(
                    new Dictionary<string, byte[]> { [StepSamples.FileName] = RolloutFile.Write(samples) }, result);
            },
            cancellation);
    }
}
