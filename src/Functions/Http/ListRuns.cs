using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;

namespace RlhfFunctions.Http;

/// <summary>GET /api/runs: a page of runs, the newest first; <c>after</c> the last one of a page is the next.</summary>
public sealed class ListRuns(RunRecords runs)
{
    private const int UsualLimit = 100, LargestLimit = 1000;

    [Function(FunctionNames.ListRuns)]
    public async Task<IActionResult> Run(
        [HttpTrigger(AuthorizationLevel.Function, "get", Route = "runs")] HttpRequest http, [DurableClient] DurableTaskClient client)
    {
        var query = new RunListQuery(http.Number("limit", 1, LargestLimit, UsualLimit))
        {
            After = http.Text("after"),
            Status = http.OneOf("status", RunRecords.Statuses),
            Tag = http.Text("tag"),
        };
        return Answers.Json(await runs.ListAsync(client, query, http.HttpContext.RequestAborted));
    }
}
