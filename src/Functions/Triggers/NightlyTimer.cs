using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Hosting;

namespace RlhfFunctions.Triggers;

/// <summary>Once a night, at the time of the setting RlhfNightlySchedule, the adapter that serves is evaluated.</summary>
public sealed class NightlyTimer(TimeProvider time)
{
    [Function(FunctionNames.NightlyTimer)]
    public Task Run([TimerTrigger("%RlhfNightlySchedule%")] TimerInfo timer, [DurableClient] DurableTaskClient client, CancellationToken cancellation)
    {
        string date = DateOf(timer, time.GetUtcNow());
        return client.StartOnceAsync(FunctionNames.NightlyEvaluation, $"nightly-{date}", new NightlyEvaluationInput(date), cancellation);
    }

    /// <summary>The night's date, UTC: that of the occurrence, however late it is delivered; a call by hand has none, and counts as today's.</summary>
    internal static string DateOf(TimerInfo timer, DateTimeOffset now)
    {
        // While a timer function runs, Next is the occurrence it runs for (azure-functions-dotnet-worker#954).
        var occurrence = timer.ScheduleStatus is { Next: { Year: > 1 } next } ? next.ToUniversalTime() : now.UtcDateTime;
        return $"{occurrence:yyyy-MM-dd}";
    }
}
