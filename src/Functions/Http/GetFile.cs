using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Http;

/// <summary>GET /api/runs/{id}/files/{name}: a file that a finished run has published, or a range of it.</summary>
public sealed class GetFile(RunRecords runs, BlobFiles blobs)
{
    [Function(FunctionNames.GetFile)]
    public async Task<IActionResult> Run(
        [HttpTrigger(AuthorizationLevel.Function, "get", Route = "runs/{id}/files/{*name}")] HttpRequest http, string id, string name)
    {
        var cancellation = http.HttpContext.RequestAborted;
        if (!await runs.ExistsAsync(id, cancellation)) return Problem.NoSuchRun(id).ToResult();
        if (await runs.FindFinishedAsync(id, cancellation) is not { } finished) return Problem.NotFinished(id).ToResult();
        if (finished.Files.SingleOrDefault(file => file.Name == name) is not { } file)
        {
            return new Problem(404, "no-such-file", "There is no such file.",
                $"Run {id} has published no {name}, but {string.Join(", ", finished.Files.Select(published => published.Name))}.").ToResult();
        }

        if (name == RunFiles.Report) http.HttpContext.Response.Headers.ContentSecurityPolicy = Reports.Page.ContentSecurityPolicy;
        var content = await (await blobs.BlobAsync(file.Blob)).OpenReadAsync(cancellationToken: cancellation);
        return new FileStreamResult(content, ContentType(name)) { EnableRangeProcessing = true };
    }

    private static string ContentType(string name)
    {
        return Path.GetExtension(name) switch
        {
            ".html" => "text/html; charset=utf-8",
            ".json" => "application/json",
            ".jsonl" => "application/jsonl",
            _ => "application/octet-stream",
        };
    }
}
