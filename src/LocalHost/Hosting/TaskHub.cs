using DurableTask.AzureStorage;
using DurableTask.Core;
using DurableTask.Core.History;
using DurableTask.Core.Query;

namespace RlhfFunctions.LocalHost.Hosting;

/// <summary>The task hub: what Durable keeps in Azure Storage about its orchestrations.</summary>
internal static class TaskHub
{
    private static readonly OrchestrationStatus[] Unfinished =
        [OrchestrationStatus.Pending, OrchestrationStatus.Running, OrchestrationStatus.ContinuedAsNew, OrchestrationStatus.Suspended];

    /// <summary>
    /// Lets every orchestration that had not ended begin its current generation anew. For the hub of a killed host or a killed
    /// Azurite, before a new host takes it over: what the hub says may be incomplete then (a message or a row that the storage had
    /// acknowledged is gone, and the orchestration waits for it for ever) or locked for a while (a message that the host was working
    /// on). Nothing is lost by it, because activities that are called again find their output made.
    /// </summary>
    /// <param name="connection">The storage account's connection string.</param>
    /// <param name="hub">The hub's name, as host.json has it.</param>
    /// <param name="partitions">Its number of partitions.</param>
    /// <param name="cancellation">Stops between orchestrations.</param>
    public static async Task BeginAnewAsync(string connection, string hub, int partitions, CancellationToken cancellation)
    {
        using var service = new AzureStorageOrchestrationService(new AzureStorageOrchestrationServiceSettings
        {
            TaskHubName = hub,
            PartitionCount = partitions,
            StorageAccountClientProvider = new StorageAccountClientProvider(connection),
        });
        await service.CreateIfNotExistsAsync();
        var query = new OrchestrationQuery { RuntimeStatus = Unfinished, FetchInputsAndOutputs = true };
        do
        {
            var page = await service.GetOrchestrationWithQueryAsync(query, cancellation);
            foreach (var state in page.OrchestrationState)
            {
                string id = state.OrchestrationInstance.InstanceId;
                await service.PurgeInstanceHistoryAsync(id);
                var instance = new OrchestrationInstance { InstanceId = id, ExecutionId = Guid.NewGuid().ToString("n") };
                await service.CreateTaskOrchestrationAsync(new TaskMessage
                {
                    OrchestrationInstance = instance,
                    Event = new ExecutionStartedEvent(-1, state.Input)
                    {
                        Name = state.Name,
                        Version = state.Version,
                        OrchestrationInstance = instance,
                        Tags = state.Tags,
                    },
                });
                if (state.OrchestrationStatus == OrchestrationStatus.Suspended)
                {
                    await service.SendTaskOrchestrationMessageAsync(new TaskMessage
                    {
                        OrchestrationInstance = new OrchestrationInstance { InstanceId = id },
                        Event = new ExecutionSuspendedEvent(-1, "It was suspended before the host was killed."),
                    });
                }
            }

            query.ContinuationToken = page.ContinuationToken;
        }
        while (query.ContinuationToken is not null);
    }
}
