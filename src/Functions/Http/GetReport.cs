using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Reports;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Http;

/// <summary>GET /api/runs/{id}/report: the run as a page; while it is under way, what it does and its curves so far.</summary>
public sealed class GetReport(RunRecords runs, ArtifactStore artifacts)
{
    [Function(FunctionNames.GetReport)]
    public async Task<IActionResult> Run(
        [HttpTrigger(AuthorizationLevel.Function, "get", Route = "runs/{id}/report")] HttpRequest http, string id, [DurableClient] DurableTaskClient client)
    {
        var cancellation = http.HttpContext.RequestAborted;
        if (await runs.FindAsync(client, id, cancellation) is not { } run) return Problem.NoSuchRun(id).ToResult();
        var metrics = await runs.FindMetricsAsync(client, id, cancellation) ?? [];
        if (await runs.FindFinishedAsync(id, cancellation) is not { } finished)
            return http.Page(LivePage.Render(run, new RunSteps(id, run.Request, metrics), http.Links()));

        byte[] evaluation = await artifacts.ReadAsync(finished.Files.Single(file => file.Name == RunFiles.Evaluation), cancellation);
        var report = JsonSerializer.Deserialize<EvaluationReport>(evaluation, ContractsJson.Options)!;
        return http.Page(ReportPage.Render(report, metrics, run.Request, finished.Result.Published, http.Links()));
    }
}
