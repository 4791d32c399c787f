using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Logging;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Serving;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>Measures the adapter that serves, once a day; where it no longer keeps the gate, the one before serves again.</summary>
public sealed class EvaluateLatest(
    RunRequests requests, PublishedAdapters adapters, PolicyMeasuring measuring, ArtifactStore artifacts, ILogger<EvaluateLatest> log)
{
    /// <returns>The measurement, or null when no adapter has been published yet.</returns>
    [Function(FunctionNames.EvaluateLatest)]
    public async Task<NightlyResult?> Run([ActivityTrigger] NightlyEvaluationInput input, CancellationToken cancellation)
    {
        if (await adapters.FindLatestAsync(cancellation) is not { } latest) return null;
        string path = BlobPaths.NightlyEvaluation(input.Date);
        var result = await artifacts.MakeOnceAsync(path, stop => MeasureAsync(path, latest, stop), cancellation);
        if (result.Fault is null) return result;
        log.LogWarning("The adapter of run {Run} is taken back. {Fault}", result.RunId, result.Fault);
        try
        {
            await adapters.RollBackAsync(result.RunId, result.Fault, cancellation);
        }
        catch (InvalidInputException e)
        {
            log.LogWarning("{Message}", e.Message);
        }

        return result;
    }

    private async Task<NewArtifact<NightlyResult>> MeasureAsync(string path, LatestAdapter latest, CancellationToken cancellation)
    {
        var request = await requests.GetAsync(latest.RunId, cancellation);
        var before = (await artifacts.GetAsync<EvaluateResult>(BlobPaths.Measurement(latest.RunId, step: 0), cancellation)).Result;
        var (files, after) = await measuring.MeasureAsync(path, latest.RunId, latest.Prepared, request, latest.Step, cancellation);
        string? fault = PolicyMeasuring.FaultOf((before.LabelProbability, before.RougeL), (after.LabelProbability, after.RougeL), request.Evaluation);
        return new NewArtifact<NightlyResult>(files, new NightlyResult(latest.RunId, after, fault));
    }
}
