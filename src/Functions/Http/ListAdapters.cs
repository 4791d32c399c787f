using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Contracts;
using RlhfFunctions.Serving;

namespace RlhfFunctions.Http;

/// <summary>GET /api/adapters: the adapters of all finished runs, the newest run first, and which of them serves.</summary>
public sealed class ListAdapters(PublishedAdapters adapters)
{
    [Function(FunctionNames.ListAdapters)]
    public async Task<IActionResult> Run([HttpTrigger(AuthorizationLevel.Function, "get", Route = "adapters")] HttpRequest http)
    {
        return Answers.Json(await adapters.ListAsync(http.HttpContext.RequestAborted));
    }
}
