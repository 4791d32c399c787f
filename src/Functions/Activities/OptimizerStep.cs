using System.Diagnostics;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>One step of the optimizer: the gradients of all shards, added up in their order, take the state before it to the state after it.</summary>
public sealed class OptimizerStep(RunRequests requests, StepUpdates updates, ArtifactStore artifacts, RunCancellation cancelled)
{
    [Function(FunctionNames.OptimizerStep)]
    public async Task<OptimizerStepResult> Run([ActivityTrigger] OptimizerStepInput input, CancellationToken cancellation)
    {
        var activity = Stopwatch.StartNew();
        if (await artifacts.IsThereAsync(BlobPaths.Checkpoint(input.RunId, input.Step + 1), cancellation)) // all were made
            return new OptimizerStepResult(IsLast: true, activity.Elapsed.TotalSeconds);
        var request = await requests.GetAsync(input.RunId, cancellation);
        return await artifacts.MakeOnceAsync(
            BlobPaths.OptimizerState(input.RunId, input.Step, input.Number + 1),
            stop => cancelled.WatchAsync(input.RunId, until => DescendAsync(input, request, activity, until), stop),
            cancellation);
    }

    private async Task<NewArtifact<OptimizerStepResult>> DescendAsync(
        OptimizerStepInput input, RunRequest request, Stopwatch activity, CancellationToken cancellation)
    {
        byte[][] gradients = await Task.WhenAll(Enumerable.Range(0, request.Compute.UpdateShards).Select(shard => artifacts.ReadFileAsync(
            BlobPaths.Gradient(input.RunId, input.Step, input.Number, shard), GradientShard.FileName, cancellation)));
        return await updates.TakeUpAsync(
            request,
            input.BaseModel,
            input.Step,
            input.Number,
            update =>
            {
                bool isLast = update.Pieces().Descend(gradients, cancellation);
                update.Log.Seconds += input.GradientSeconds;
                var files = new Dictionary<string, byte[]>(update.State.ToFiles()) { [UpdateLog.FileName] = update.Log.ToBytes() };
                return new NewArtifact<OptimizerStepResult>(files, new OptimizerStepResult(isLast, activity.Elapsed.TotalSeconds));
            },
            cancellation);
    }
}
