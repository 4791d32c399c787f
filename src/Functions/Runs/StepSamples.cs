using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Runs;

/// <summary>
/// Reads what a step learns from, all shards together. All shards of an update ask for the same, and all steps of a run that learns from
/// preferences, so the last stays in memory.
/// </summary>
public sealed class StepSamples(ArtifactStore artifacts)
{
    /// <summary>The one file of the artefact of a shard's samples.</summary>
    public const string FileName = "rollouts.safetensors";

    private volatile Cached? _last;

    /// <summary>A step's rollouts; or its preferences, chosen and rejected in turns, every pass over all of them in an order of its own.</summary>
    public async Task<IReadOnlyList<RolloutSample>> GetAsync(RunRequest request, int step, CancellationToken cancellation)
    {
        bool areRollouts = Algorithm.Of(request.Training, request.Generation).Samples;
        string[] paths = [.. Enumerable.Range(0, request.Compute.RolloutShards).Select(
            shard => areRollouts ? BlobPaths.Rollout(request.RunId!, step, shard) : BlobPaths.Preferences(request.RunId!, shard))];
        var samples = await ReadAsync(paths, cancellation);
        return areRollouts ? samples : [.. PromptOrder.Batch((ulong)request.Seed, samples.Count / 2, request.Training.BatchSize, step)
            .SelectMany(pair => new[] { samples[2 * pair], samples[(2 * pair) + 1] })];
    }

    private async Task<IReadOnlyList<RolloutSample>> ReadAsync(string[] paths, CancellationToken cancellation)
    {
        // By what lies there now: a run that was deleted may come again under its id.
        var first = await artifacts.GetFileAsync(paths[0], FileName, cancellation);
        if (_last is { } last && last.First == first) return last.Samples;
        var shards = new List<IReadOnlyList<RolloutSample>>();
        foreach (string path in paths) shards.Add(RolloutFile.Read(await artifacts.ReadFileAsync(path, FileName, cancellation)));
        var samples = RolloutFile.Merge(shards);
        _last = new Cached(first, samples);
        return samples;
    }

    private sealed record Cached(ArtifactFile First, IReadOnlyList<RolloutSample> Samples);
}
