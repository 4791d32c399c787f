using Microsoft.DurableTask;
using Microsoft.DurableTask.Client;

namespace RlhfFunctions.Hosting;

internal static class DurableClientExtensions
{
    /// <summary>Starts an orchestration under a derived id unless it was started before: a redelivered trigger changes nothing.</summary>
    public static async Task StartOnceAsync(
        this DurableTaskClient client, string orchestrator, string instanceId, object input, CancellationToken cancellation)
    {
        if (await client.GetInstanceAsync(instanceId, cancellation: cancellation) is not null) return;
        await client.ScheduleNewOrchestrationInstanceAsync(orchestrator, input, new StartOrchestrationOptions(instanceId), cancellation);
    }
}
