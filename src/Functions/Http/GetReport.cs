using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Http;

/// <summary>GET /api/runs/{id}/report: the page of a finished run.</summary>
public sealed class GetReport(RunRecords runs, ArtifactStore artifacts)
{
    [Function(FunctionNames.GetReport)]
    public async Task<IActionResult> Run(
        [HttpTrigger(AuthorizationLevel.Function, "get", Route = "runs/{id}/report")] HttpRequest http, string id)
    {
        var cancellation = http.HttpContext.RequestAborted;
        if (!await runs.ExistsAsync(id, cancellation)) return Problem.NoSuchRun(id).ToResult();
        if (await runs.FindFinishedAsync(id, cancellation) is not { } finished) return Problem.NotFinished(id).ToResult();
        var page = finished.Files.Single(file => file.Name == RunFiles.Report);
        return new FileContentResult(await artifacts.ReadAsync(page, cancellation), "text/html; charset=utf-8");
    }
}
