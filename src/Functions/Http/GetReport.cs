using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Http;

/// <summary>GET /api/runs/{id}/report: the page of a finished run.</summary>
public sealed class GetReport(RunRequests requests, ArtifactStore artifacts)
{
    [Function(FunctionNames.GetReport)]
    public async Task<IActionResult> Run(
        [HttpTrigger(AuthorizationLevel.Function, "get", Route = "runs/{id}/report")] HttpRequest http, string id, CancellationToken cancellation)
    {
        if (await requests.FindAsync(id, cancellation) is null) return RunProblems.NoSuchRun(id);
        if (await artifacts.FindAsync<RunOutcome>(BlobPaths.Run(id), cancellation) is not { } finished) return RunProblems.NotFinished(id);
        var page = finished.Files.Single(file => file.Name == RunFiles.Report);
        http.HttpContext.Response.Headers.XContentTypeOptions = "nosniff";
        return new FileContentResult(await artifacts.ReadAsync(page, cancellation), "text/html; charset=utf-8");
    }
}
