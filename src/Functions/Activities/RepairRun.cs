using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>Reads all that a run has made, and discards each artefact that is not whole, so that it is made again.</summary>
public sealed class RepairRun(ArtifactStore artifacts, StepMetrics metrics, RunEvents events)
{
    /// <returns>The last checkpoint that is whole and has the metrics of all steps before it.</returns>
    [Function(FunctionNames.RepairRun)]
    public async Task<int> Run([ActivityTrigger] RepairRunInput input, CancellationToken cancellation)
    {
        var whole = await artifacts.RepairAsync(BlobPaths.Run(input.RunId), cancellation);
        int measured = 0;
        for (; measured < input.Step; measured++)
        {
            if (whole.Contains(BlobPaths.Metrics(input.RunId, measured))) continue;
            if (!whole.Contains(BlobPaths.Checkpoint(input.RunId, measured + 1))) break;
            await metrics.KeepAsync(input.RunId, measured, cancellation);
        }

        int step = measured;
        if (input.Needed is { } needed && !whole.Contains(BlobPaths.Checkpoint(input.RunId, needed))) step = Math.Min(step, needed);
        while (step > 0 && !whole.Contains(BlobPaths.Checkpoint(input.RunId, step))) step--;
        if (input.Reason is { } reason) await events.AddAsync(input.RunId, RunEventKind.WentBack, $"To step {step}. {reason}", cancellation);
        return step;
    }
}
