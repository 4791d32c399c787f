using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Http;

/// <summary>GET /api/runs: all runs, the newest first.</summary>
public sealed class ListRuns(RunRequests requests)
{
    [Function(FunctionNames.ListRuns)]
    public async Task<IActionResult> Run(
        [HttpTrigger(AuthorizationLevel.Function, "get", Route = "runs")] HttpRequest http,
        [DurableClient] DurableTaskClient client,
        CancellationToken cancellation)
    {
        var runs = new List<RunListItem>();
        foreach (var (id, createdAt) in await requests.ListAsync(cancellation))
        {
            var instance = await client.GetInstanceAsync(id, getInputsAndOutputs: true, cancellation);
            runs.Add(new RunListItem(id, instance?.RuntimeStatus.ToString() ?? "NotStarted", createdAt, instance?.ReadCustomStatusAs<RunProgress>()));
        }

        return Answers.Json(runs);
    }
}
