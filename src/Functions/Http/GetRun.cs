using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Hosting;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Http;

/// <summary>GET /api/runs/{id}: the run's own view, stable whatever Durable's status looks like.</summary>
public sealed class GetRun(RunRequests requests)
{
    [Function(FunctionNames.GetRun)]
    public async Task<IActionResult> Run(
        [HttpTrigger(AuthorizationLevel.Function, "get", Route = "runs/{id}")] HttpRequest http,
        string id,
        [DurableClient] DurableTaskClient client,
        CancellationToken cancellation)
    {
        if (await requests.FindAsync(id, cancellation) is not { } request) return RunProblems.NoSuchRun(id);

        var instance = await client.GetInstanceAsync(id, getInputsAndOutputs: true, cancellation);
        return Answers.Json(new RunView
        {
            RunId = id,
            Status = instance?.RuntimeStatus.ToString() ?? "NotStarted",
            CreatedAt = await requests.FindCreationTimeAsync(id, cancellation), // Durable's own is that of the last generation
            UpdatedAt = instance?.LastUpdatedAt,
            Progress = instance?.ReadCustomStatusAs<RunProgress>(),
            Outcome = instance is { RuntimeStatus: OrchestrationRuntimeStatus.Completed } ? instance.ReadOutputAs<RunOutcome>() : null,
            Failure = instance?.ReadFailure(),
            Request = request,
        });
    }
}
