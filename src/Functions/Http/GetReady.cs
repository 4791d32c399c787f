using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Http;

/// <summary>GET /api/ready: storage and the engine answer, or did seconds ago, so that what is asked can be done; else 503 says which problem there is.</summary>
public sealed class GetReady(Readiness readiness)
{
    [Function(FunctionNames.GetReady)]
    public async Task<IActionResult> Run(
        [HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "ready")] HttpRequest http, [DurableClient] DurableTaskClient client)
    {
        await readiness.CheckAsync(over => client.GetInstanceAsync("nobody", over)).WaitAsync(http.HttpContext.RequestAborted);
        return Answers.Json(new { Status = "ready" });
    }
}
