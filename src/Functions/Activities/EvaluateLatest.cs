using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>Measures the adapter that serves, once a day.</summary>
public sealed class EvaluateLatest(RunRequests requests, BlobFiles blobs, PolicyMeasuring measuring, ArtifactStore artifacts)
{
    /// <returns>The measurement, or null when no adapter has been published yet.</returns>
    [Function(FunctionNames.EvaluateLatest)]
    public async Task<EvaluateResult?> Run([ActivityTrigger] NightlyEvaluationInput input, CancellationToken cancellation)
    {
        if (await blobs.ReadJsonAsync<LatestAdapter>(BlobPaths.LatestAdapter, cancellation) is not { } latest) return null;
        var request = await requests.GetAsync(latest.RunId, cancellation);
        string path = BlobPaths.NightlyEvaluation(input.Date);
        return await artifacts.MakeOnceAsync(
            path, stop => measuring.MeasureAsync(path, latest.RunId, latest.Prepared, request, latest.Step, stop), cancellation);
    }
}
