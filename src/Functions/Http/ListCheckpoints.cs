using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;

namespace RlhfFunctions.Http;

/// <summary>GET /api/runs/{id}/checkpoints: the states of a run that are kept.</summary>
public sealed class ListCheckpoints(RunRecords runs)
{
    [Function(FunctionNames.ListCheckpoints)]
    public async Task<IActionResult> Run([HttpTrigger(AuthorizationLevel.Function, "get", Route = "runs/{id}/checkpoints")] HttpRequest http, string id)
    {
        var checkpoints = await runs.FindCheckpointsAsync(id, http.HttpContext.RequestAborted);
        return checkpoints is null ? Problem.NoSuchRun(id).ToResult() : Answers.Json(checkpoints);
    }
}
