using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Http;

/// <summary>GET /api/adapters: the adapters of all finished runs, the newest run first, and which of them serves.</summary>
public sealed class ListAdapters(RunRequests requests, RunRecords runs, BlobFiles blobs)
{
    [Function(FunctionNames.ListAdapters)]
    public async Task<IActionResult> Run([HttpTrigger(AuthorizationLevel.Function, "get", Route = "adapters")] HttpRequest http)
    {
        var cancellation = http.HttpContext.RequestAborted;
        var latest = await blobs.ReadJsonAsync<LatestAdapter>(BlobPaths.LatestAdapter, cancellation);
        var adapters = new List<AdapterListItem>();
        foreach (var (id, _) in await requests.ListAsync(cancellation))
        {
            if (await runs.FindFinishedAsync(id, cancellation) is not { Result: var outcome }) continue;
            string path = BlobPaths.Published(id, RunFiles.AdapterFolder);
            adapters.Add(new AdapterListItem(id, path, outcome.HateBefore, outcome.HateAfter, outcome.Published));
        }

        return Answers.Json(new AdapterList(latest?.RunId, adapters));
    }
}
