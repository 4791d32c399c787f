using System.Diagnostics;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Azure.Functions.Worker.Middleware;
using Microsoft.Extensions.Logging;

namespace RlhfFunctions.Telemetry;

/// <summary>
/// Every function runs in the scope of the run it is about: what it logs and the span of its invocation carry the run's id. Activities
/// are timed.
/// </summary>
internal sealed class RunScope(ILogger<RunScope> log) : IFunctionsWorkerMiddleware
{
    public async Task Invoke(FunctionContext context, FunctionExecutionDelegate next)
    {
        string? run = RunOf(context);
        using var scope = run is null ? null : log.BeginScope(new Dictionary<string, object> { [RunTag.Name] = run });
        if (run is not null) Activity.Current?.SetTag(RunTag.Name, run);
        if (!context.FunctionDefinition.InputBindings.Values.Any(binding => binding.Type == "activityTrigger"))
        {
            await next(context);
            return;
        }

        long startedAt = Stopwatch.GetTimestamp();
        string outcome = "failed";
        try
        {
            await next(context);
            outcome = "succeeded";
        }
        catch (OperationCanceledException)
        {
            outcome = "cancelled";
            throw;
        }
        finally
        {
            Instruments.ActivityEnded(context.FunctionDefinition.Name, outcome, Stopwatch.GetElapsedTime(startedAt));
        }
    }

    /// <summary>An orchestration's id is its run's; over HTTP the id stands in the address.</summary>
    private static string? RunOf(FunctionContext context)
    {
        var data = context.BindingContext.BindingData;
        return (data.GetValueOrDefault("instanceId") ?? data.GetValueOrDefault("id"))?.ToString()?.Trim('"');
    }
}
