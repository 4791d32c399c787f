using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;

namespace RlhfFunctions.Http;

/// <summary>GET /api/runs: all runs, the newest first.</summary>
public sealed class ListRuns(RunRecords runs)
{
    [Function(FunctionNames.ListRuns)]
    public async Task<IActionResult> Run(
        [HttpTrigger(AuthorizationLevel.Function, "get", Route = "runs")] HttpRequest http, [DurableClient] DurableTaskClient client)
    {
        return Answers.Json(await runs.ListAsync(client, http.HttpContext.RequestAborted));
    }
}
