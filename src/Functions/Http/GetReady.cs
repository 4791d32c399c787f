using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Serving;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Http;

/// <summary>GET /api/ready: storage and the engine answer, or did seconds ago, and the model that serves is there, so that what is asked can be done; else 503 says which problem there is.</summary>
public sealed class GetReady(Readiness readiness, ArtifactStore artifacts, PublishedAdapters adapters)
{
    [Function(FunctionNames.GetReady)]
    public async Task<IActionResult> Run(
        [HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "ready")] HttpRequest http, [DurableClient] DurableTaskClient client)
    {
        await readiness.CheckAsync(over => Task.WhenAll(client.GetInstanceAsync("nobody", over), CheckModelAsync(over))).WaitAsync(http.HttpContext.RequestAborted);
        return Answers.Json(new { Status = "ready" });
    }

    /// <summary>Whether the adapter that serves and its base are there; where none serves, none is missing.</summary>
    /// <exception cref="ProblemException">They are not.</exception>
    private async Task CheckModelAsync(CancellationToken cancellation)
    {
        if (!await IsModelThereAsync(cancellation))
        {
            throw new ProblemException(new Problem(503, "not-ready", "The app is not ready.",
                "The adapter that serves, or its base model, is lost or damaged. GET /api/adapters names it; promote another, or restore it."));
        }
    }

    private async Task<bool> IsModelThereAsync(CancellationToken cancellation)
    {
        try
        {
            return await adapters.FindLatestAsync(cancellation) is not { } latest
                || (await artifacts.FindAsync<object>(BlobPaths.Run(latest.RunId), cancellation) is not null
                    && await artifacts.FindAsync<object>(latest.Prepared.Base, cancellation) is not null);
        }
        catch (CorruptArtifactException)
        {
            return false;
        }
    }
}
