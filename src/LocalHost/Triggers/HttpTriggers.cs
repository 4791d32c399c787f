using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Mvc.Abstractions;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.LocalHost.Triggers;

/// <summary>
/// HTTP functions as endpoints. Keys are not asked for, as with the core tools: AuthorizationLevel is Azure's to enforce.
/// </summary>
internal static class HttpTriggers
{
    public static void Map(IEndpointRouteBuilder endpoints, FunctionCatalog functions, LocalFunctionsOptions options)
    {
        foreach (var (function, trigger) in functions.With<HttpTriggerAttribute>())
        {
            var route = $"/{options.RoutePrefix}/{trigger.Route ?? function.Name}";
            if (trigger.Methods is { Length: > 0 } methods)
                endpoints.MapMethods(route, methods.Select(method => method.ToUpperInvariant()), Run);
            else
                endpoints.Map(route, Run);

            Task Run(HttpContext http) => RunAsync(function, http);
        }
    }

    public static IReadOnlyList<string> RouteParametersOf(string route) =>
        [.. RoutePatternFactory.Parse(route).Parameters.Select(parameter => parameter.Name)];

    private static async Task RunAsync(LocalFunction function, HttpContext http)
    {
        try
        {
            var context = new LocalFunctionContext(
                function.Name, http.RequestServices, http.Request.RouteValues.AsReadOnly(), http.RequestAborted);
            var result = (IActionResult)(await function.InvokeAsync(new(context, http.Request)))!;
            await result.ExecuteResultAsync(new(http, http.GetRouteData(), new ActionDescriptor()));
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // The caller has gone; there is nobody to answer.
        }
        catch (BadHttpRequestException bad) when (!http.Response.HasStarted)
        {
            await Results.Problem(bad.Message, statusCode: bad.StatusCode).ExecuteAsync(http);
        }
        catch (Exception problem)
        {
            http.RequestServices.GetRequiredService<ILoggerFactory>().CreateLogger(function.Name)
                .LogError(problem, "HTTP function {Function} failed.", function.Name);
            if (http.Response.HasStarted)
                http.Abort();
            else
                await Results.Problem("The function failed; the host's log tells why.", statusCode: 500).ExecuteAsync(http);
        }
    }
}
