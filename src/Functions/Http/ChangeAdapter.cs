using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;
using RlhfFunctions.Serving;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Http;

/// <summary>Lets the adapter of another run serve. The answer is what serves now, and what served before.</summary>
public sealed class ChangeAdapter(RunRecords runs, PublishedAdapters adapters)
{
    [Function(FunctionNames.PromoteAdapter)]
    public async Task<IActionResult> Promote([HttpTrigger(AuthorizationLevel.Function, "post", Route = "adapters/{runId}/promote")] HttpRequest http, string runId)
    {
        var cancellation = http.HttpContext.RequestAborted;
        if (!await runs.ExistsAsync(runId, cancellation)) return Problem.NoSuchRun(runId).ToResult();
        if (await runs.FindFinishedAsync(runId, cancellation) is null) return Problem.NotFinished(runId).ToResult();
        try
        {
            return Answer(await adapters.PromoteAsync(runId, http.Text("campaign"), cancellation));
        }
        catch (InvalidInputException e)
        {
            return new Problem(409, "not-preferred", "People have not preferred this adapter yet.", e.Message).ToResult();
        }
    }

    /// <summary>The one that served well before serves again.</summary>
    [Function(FunctionNames.RollBackAdapter)]
    public async Task<IActionResult> RollBack([HttpTrigger(AuthorizationLevel.Function, "post", Route = "adapters/rollback")] HttpRequest http)
    {
        var cancellation = http.HttpContext.RequestAborted;
        string reason = http.Reason() ?? "It was taken back by hand.";
        if (await adapters.FindLatestAsync(cancellation) is not { } latest) return Problem.NoAdapter().ToResult();
        return Answer(await adapters.RollBackAsync(latest.RunId, reason, cancellation));
    }

    private static IActionResult Answer(LatestAdapter latest)
    {
        return Answers.Json(new { latest.RunId, latest.PublishedAt, latest.History });
    }
}
