using System.Diagnostics;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>A part of the gradient of a step of the optimizer: the state before it and the part's samples → one file for <see cref="OptimizerStep"/>.</summary>
public sealed class GradientShard(RunRequests requests, StepUpdates updates, ArtifactStore artifacts, RunCancellation cancelled)
{
    /// <summary>The one file of its artefact.</summary>
    public const string FileName = "gradient.safetensors";

    [Function(FunctionNames.GradientShard)]
    public async Task<GradientShardResult> Run([ActivityTrigger] GradientShardInput input, CancellationToken cancellation)
    {
        var activity = Stopwatch.StartNew();
        // Where the step has been done the gradients are gone, and whoever asks again for one needs none.
        if (await artifacts.IsThereAsync(BlobPaths.Checkpoint(input.RunId, input.Step + 1), cancellation)) return new GradientShardResult(activity.Elapsed.TotalSeconds);
        var request = await requests.GetAsync(input.RunId, cancellation);
        return await artifacts.MakeOnceAsync(
            BlobPaths.Gradient(input.RunId, input.Step, input.OptimizerStep, input.Shard),
            stop => cancelled.WatchAsync(
                input.RunId,
                until => updates.TakeUpAsync(
                    request,
                    input.BaseModel,
                    input.Step,
                    input.OptimizerStep,
                    update => new NewArtifact<GradientShardResult>(
                        new Dictionary<string, byte[]> { [FileName] = update.Pieces().Gradient(input.Shard, request.Compute.UpdateShards, until) },
                        new GradientShardResult(activity.Elapsed.TotalSeconds)),
                    until),
                stop),
            cancellation);
    }
}
