using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;

namespace RlhfFunctions.Http;

/// <summary>GET /api/runs/{id}/metrics: an array with an object for every step done, of a run under way too; <c>from</c> and <c>limit</c> ask for some.</summary>
public sealed class GetMetrics(RunRecords runs)
{
    [Function(FunctionNames.GetMetrics)]
    public async Task<IActionResult> Run(
        [HttpTrigger(AuthorizationLevel.Function, "get", Route = "runs/{id}/metrics")] HttpRequest http, string id, [DurableClient] DurableTaskClient client)
    {
        var metrics = await runs.FindMetricsAsync(
            client, id, http.HttpContext.RequestAborted, http.Number("from", 0, int.MaxValue, 0), http.Number("limit", 1, int.MaxValue, int.MaxValue));
        return metrics is null ? Problem.NoSuchRun(id).ToResult() : Answers.Json(metrics);
    }
}
