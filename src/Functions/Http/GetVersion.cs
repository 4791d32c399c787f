using System.Reflection;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Http;

/// <summary>GET /api/version: what is running; the commit follows the plus sign.</summary>
public static class GetVersion
{
    [Function(FunctionNames.GetVersion)]
    public static IActionResult Run([HttpTrigger(AuthorizationLevel.Function, "get", Route = "version")] HttpRequest http)
    {
        return Answers.Json(new
        {
            Version = typeof(GetVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion,
            Runtime = RuntimeInformation.FrameworkDescription,
        });
    }
}
