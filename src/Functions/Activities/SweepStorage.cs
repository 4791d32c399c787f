using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>Deletes what killed attempts and abandoned imports have left.</summary>
public sealed class SweepStorage(StorageSweep sweep)
{
    /// <returns>How many blobs were deleted.</returns>
    [Function(FunctionNames.SweepStorage)]
    public Task<int> Run([ActivityTrigger] NightlyEvaluationInput input, CancellationToken cancellation)
    {
        return sweep.RunAsync(cancellation);
    }
}
