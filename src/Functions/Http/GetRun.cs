using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;

namespace RlhfFunctions.Http;

/// <summary>GET /api/runs/{id}: the run's own view, stable whatever Durable's status looks like.</summary>
public sealed class GetRun(RunRecords runs)
{
    [Function(FunctionNames.GetRun)]
    public async Task<IActionResult> Run(
        [HttpTrigger(AuthorizationLevel.Function, "get", Route = "runs/{id}")] HttpRequest http, string id, [DurableClient] DurableTaskClient client)
    {
        var view = await runs.FindAsync(client, id, http.HttpContext.RequestAborted);
        return view is null ? Problem.NoSuchRun(id).ToResult() : Answers.Json(view);
    }
}
