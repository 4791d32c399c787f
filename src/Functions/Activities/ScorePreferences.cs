using System.Diagnostics;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>What the reference says of a shard of the preferences: once for the whole run, since it does not change.</summary>
public sealed class ScorePreferences(RunRequests requests, Datasets datasets, PolicyPool policies, ComputeGate gate, ArtifactStore artifacts)
{
    [Function(FunctionNames.ScorePreferences)]
    public async Task<RolloutShardResult> Run([ActivityTrigger] ScorePreferencesInput input, CancellationToken cancellation)
    {
        string path = BlobPaths.Preferences(input.RunId, input.Shard);
        var request = await requests.GetAsync(input.RunId, cancellation);
        return await artifacts.MakeOnceAsync(path, stop => ScoreAsync(input, request, path, stop), cancellation);
    }

    private async Task<NewArtifact<RolloutShardResult>> ScoreAsync(
        ScorePreferencesInput input, RunRequest request, string path, CancellationToken cancellation)
    {
        var activity = Stopwatch.StartNew();
        using var turn = await gate.EnterAsync(request.Compute, request.Compute.RolloutThreads, cancellation);
        var preferences = (await datasets.GetAsync(input.Dataset, cancellation)).Preferences;
        int shards = request.Compute.RolloutShards;
        int first = preferences.Count * input.Shard / shards;
        int end = preferences.Count * (input.Shard + 1) / shards;
        var sides = preferences.Take(first..end).SelectMany(pair => new[] { (pair.Id, Side: pair.Chosen), (pair.Id, Side: pair.Rejected) }).ToArray();

        return await policies.UseAsync(
            input.BaseModel,
            request,
            request.Compute.RolloutThreads,
            loaded =>
            {
                var clock = Stopwatch.StartNew();
                int context = loaded.Policy.Model.Config.ContextLength;
                if (sides.FirstOrDefault(item => item.Side.PromptIds.Length + item.Side.ResponseIds.Length > context) is { Side: not null } tooLong)
                {
                    throw new InvalidInputException($"{request.Data.Preferences}: {tooLong.Id} has {tooLong.Side.PromptIds.Length} tokens of prompt and "
                        + $"{tooLong.Side.ResponseIds.Length} of response, more than the {context} that the model reads. Shorten the row or delete it.");
                }

                using var reference = loaded.Policy.WithAdapterDisabled();
                var scored = RolloutCollector.Score(
                    loaded.Policy,
                    [.. sides.Select(item => item.Side.PromptIds)],
                    [.. sides.Select(item => item.Side.ResponseIds)],
                    kind: null,
                    temperature: 1,
                    request.Training.MiniBatchSize,
                    cancellation);
                var samples = scored.Select(sample => sample with
                {
                    Index = (2 * first) + sample.Index,
                    ReferenceLogProbs = sample.LogProbs,
                    LogProbs = [], // of the policy as it was before the first step, which nobody asks for
                }).ToArray();
                var result = new RolloutShardResult(path, samples.Sum(sample => sample.Response.Length), clock.Elapsed.TotalSeconds, activity.Elapsed.TotalSeconds);
                return new NewArtifact<RolloutShardResult>(
                    new Dictionary<string, byte[]> { [StepSamples.FileName] = RolloutFile.Write(samples) }, result);
            },
            cancellation);
    }
}
