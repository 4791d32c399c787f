using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Http;

/// <summary>GET /api/health: the app answers. It asks for no key and tells nothing else.</summary>
public static class GetHealth
{
    [Function(FunctionNames.GetHealth)]
    public static IActionResult Run([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "health")] HttpRequest http)
    {
        return Answers.Json(new { Status = "healthy" });
    }
}
