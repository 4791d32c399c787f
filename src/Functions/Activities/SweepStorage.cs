using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Campaigns;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>Deletes what killed attempts and abandoned imports have left, and votes that are kept no longer.</summary>
public sealed class SweepStorage(StorageSweep sweep, VoteRetention votes)
{
    /// <returns>How many blobs were deleted.</returns>
    [Function(FunctionNames.SweepStorage)]
    public async Task<int> Run([ActivityTrigger] NightlyEvaluationInput input, CancellationToken cancellation)
    {
        return await votes.RunAsync(cancellation) + await sweep.RunAsync(cancellation);
    }
}
