using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Http;

/// <summary>GET /api/runs/{id}/metrics: an array with an object for every step done, of a run under way too.</summary>
public sealed class GetMetrics(RunRequests requests, ArtifactStore artifacts, StepMetrics metrics)
{
    [Function(FunctionNames.GetMetrics)]
    public async Task<IActionResult> Run(
        [HttpTrigger(AuthorizationLevel.Function, "get", Route = "runs/{id}/metrics")] HttpRequest http,
        string id,
        [DurableClient] DurableTaskClient client,
        CancellationToken cancellation)
    {
        if (await requests.FindAsync(id, cancellation) is null) return RunProblems.NoSuchRun(id);
        var finished = await artifacts.FindAsync<RunOutcome>(BlobPaths.Run(id), cancellation);
        var instance = finished is null ? await client.GetInstanceAsync(id, getInputsAndOutputs: true, cancellation) : null;
        int steps = finished?.Result.Steps ?? instance?.ReadCustomStatusAs<RunProgress>()?.Step ?? 0;
        return Answers.Json(await metrics.ReadAsync(id, steps, cancellation));
    }
}
