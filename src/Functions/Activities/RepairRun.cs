using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>Reads all that a run has made, and discards each artefact that is not whole, so that it is made again.</summary>
public sealed class RepairRun(ArtifactStore artifacts)
{
    /// <returns>The last checkpoint that is whole, and with it all before it.</returns>
    [Function(FunctionNames.RepairRun)]
    public async Task<int> Run([ActivityTrigger] RepairRunInput input, CancellationToken cancellation)
    {
        var whole = await artifacts.RepairAsync(BlobPaths.Run(input.RunId), cancellation);
        int step = 0;
        while (step < input.Step && whole.Contains(BlobPaths.Checkpoint(input.RunId, step + 1))) step++;
        return step;
    }
}
