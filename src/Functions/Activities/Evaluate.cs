using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>Measures the policy on the held-out dialogues, as it is at a step; the same seeds at every step.</summary>
public sealed class Evaluate(RunRequests requests, PolicyMeasuring measuring, ArtifactStore artifacts, RunCancellation cancelled)
{
    [Function(FunctionNames.Evaluate)]
    public async Task<EvaluateResult> Run([ActivityTrigger] EvaluateInput input, CancellationToken cancellation)
    {
        string path = BlobPaths.Measurement(input.RunId, input.Step);
        var request = await requests.GetAsync(input.RunId, cancellation);
        return await artifacts.MakeOnceAsync(
            path,
            stop => cancelled.WatchAsync(input.RunId, until => measuring.MeasureAsync(path, input.RunId, input.Prepared, request, input.Step, until), stop),
            cancellation);
    }
}
