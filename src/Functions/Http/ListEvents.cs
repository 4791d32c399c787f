using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;

namespace RlhfFunctions.Http;

/// <summary>GET /api/runs/{id}/events: what happened to a run and why, the oldest first.</summary>
public sealed class ListEvents(RunRecords runs)
{
    [Function(FunctionNames.ListEvents)]
    public async Task<IActionResult> Run(
        [HttpTrigger(AuthorizationLevel.Function, "get", Route = "runs/{id}/events")] HttpRequest http, string id, [DurableClient] DurableTaskClient client)
    {
        var events = await runs.FindEventsAsync(client, id, http.HttpContext.RequestAborted);
        return events is null ? Problem.NoSuchRun(id).ToResult() : Answers.Json(events);
    }
}
