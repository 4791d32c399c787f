using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Campaigns;
using RlhfFunctions.Contracts;
using RlhfFunctions.Reports;
using RlhfFunctions.Runs;

namespace RlhfFunctions.Http;

/// <summary>GET /api/pages/…: runs for people, as HTML. A run's own page is GET /api/runs/{id}/report.</summary>
public sealed class Pages(RunRecords runs, PolicyHistories histories)
{
    [Function(FunctionNames.RunsPage)]
    public async Task<IActionResult> List(
        [HttpTrigger(AuthorizationLevel.Function, "get", Route = "pages/runs")] HttpRequest http, [DurableClient] DurableTaskClient client)
    {
        return http.Page(Reports.RunsPage.Render(await runs.ListAsync(client, new RunListQuery(int.MaxValue), http.HttpContext.RequestAborted), http.Links()));
    }

    /// <summary>The runs that the address names, each as <c>run={id}</c>.</summary>
    [Function(FunctionNames.ComparePage)]
    public async Task<IActionResult> Compare(
        [HttpTrigger(AuthorizationLevel.Function, "get", Route = "pages/compare")] HttpRequest http, [DurableClient] DurableTaskClient client)
    {
        string[] ids = [.. http.Query["run"].OfType<string>().Distinct()];
        if (ids.Length > Reports.ComparePage.MaxRuns)
        {
            return new Problem(400, "too-many-to-compare", "Too many runs to compare.",
                $"{ids.Length} runs are chosen; at most {Reports.ComparePage.MaxRuns} can be told apart in a chart. Choose fewer of them.").ToResult();
        }

        var compared = new List<(RunView, RunSteps)>();
        foreach (string id in ids)
        {
            if (await runs.FindAsync(client, id, http.HttpContext.RequestAborted) is not { } view) return Problem.NoSuchRun(id).ToResult();
            compared.Add((view, new RunSteps(id, view.Request, await runs.FindMetricsAsync(client, id, http.HttpContext.RequestAborted) ?? [])));
        }

        return http.Page(Reports.ComparePage.Render(compared, http.Links()));
    }

    /// <summary>Votes, reward models and runs that led to the policy of <c>run={id}</c>, and those it led to.</summary>
    [Function(FunctionNames.HistoryPage)]
    public async Task<IActionResult> History([HttpTrigger(AuthorizationLevel.Function, "get", Route = "pages/history")] HttpRequest http)
    {
        string id = http.Text("run") ?? "";
        if (!await runs.ExistsAsync(id, http.HttpContext.RequestAborted)) return Problem.NoSuchRun(id).ToResult();
        return http.Page(Reports.HistoryPage.Render(id, await histories.OfAsync(id, http.HttpContext.RequestAborted), http.Links()));
    }
}

internal static class PageAnswers
{
    /// <summary>What a page links to, with the key that it was itself asked for with.</summary>
    public static PageLinks Links(this HttpRequest http)
    {
        return new PageLinks(http.Query["code"] is [{ Length: > 0 } code] ? code : null);
    }

    /// <summary>A page, under the policy it was made for.</summary>
    public static IActionResult Page(this HttpRequest http, byte[] page)
    {
        http.HttpContext.Response.Headers.ContentSecurityPolicy = Reports.Page.ContentSecurityPolicy + "; frame-ancestors 'none'";
        return new FileContentResult(page, "text/html; charset=utf-8");
    }
}
