using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Hosting;

namespace RlhfFunctions.Triggers;

/// <summary>Every night at three (UTC) the adapter that serves is evaluated.</summary>
public sealed class NightlyTimer(TimeProvider time)
{
    [Function(FunctionNames.NightlyTimer)]
    public Task Run([TimerTrigger("0 0 3 * * *")] TimerInfo timer, [DurableClient] DurableTaskClient client, CancellationToken cancellation)
    {
        string date = $"{time.GetUtcNow().UtcDateTime:yyyy-MM-dd}";
        return client.StartOnceAsync(FunctionNames.NightlyEvaluation, $"nightly-{date}", new NightlyEvaluationInput(date), cancellation);
    }
}
