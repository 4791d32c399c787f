using System.Text.Json;
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
    /// <param name="journal">
    /// A file that holds them from before they are taken out of the hub until the caller deletes it, when the storage has saved them
    /// again: where host or storage is killed in between, the hub knows nothing of them any more.
    /// </param>
    /// <param name="cancellation">Stops between orchestrations.</param>
    public static async Task BeginAnewAsync(string connection, string hub, int partitions, string journal, CancellationToken cancellation)
    {
        using var service = new AzureStorageOrchestrationService(new AzureStorageOrchestrationServiceSettings
        {
            TaskHubName = hub,
            PartitionCount = partitions,
            StorageAccountClientProvider = new StorageAccountClientProvider(connection),
        });
        await service.CreateIfNotExistsAsync();
        var unfinished = await ListUnfinishedAsync(service, cancellation);
        foreach (var begun in await ReadAsync(journal, cancellation))
        {
            if ((await service.GetOrchestrationStateAsync(begun.Id, allExecutions: false)).All(state => state is null)) unfinished.Add(begun);
        }

        await WriteAsync(journal, unfinished, cancellation);
        foreach (var orchestration in unfinished)
        {
            cancellation.ThrowIfCancellationRequested();
            await BeginAnewAsync(service, orchestration);
        }
    }

    private static async Task<List<UnfinishedOrchestration>> ListUnfinishedAsync(AzureStorageOrchestrationService service, CancellationToken cancellation)
    {
        var unfinished = new List<UnfinishedOrchestration>();
        var query = new OrchestrationQuery { RuntimeStatus = Unfinished, FetchInputsAndOutputs = true };
        do
        {
            var page = await service.GetOrchestrationWithQueryAsync(query, cancellation);
            unfinished.AddRange(page.OrchestrationState.Select(state => new UnfinishedOrchestration(
                state.OrchestrationInstance.InstanceId, state.Name, state.Version, state.Input, state.Tags, state.OrchestrationStatus == OrchestrationStatus.Suspended)));
            query.ContinuationToken = page.ContinuationToken;
        }
        while (query.ContinuationToken is not null);
        return unfinished;
    }

    private static async Task BeginAnewAsync(AzureStorageOrchestrationService service, UnfinishedOrchestration orchestration)
    {
        await service.PurgeInstanceHistoryAsync(orchestration.Id);
        var instance = new OrchestrationInstance { InstanceId = orchestration.Id, ExecutionId = Guid.NewGuid().ToString("n") };
        await service.CreateTaskOrchestrationAsync(new TaskMessage
        {
            OrchestrationInstance = instance,
            Event = new ExecutionStartedEvent(-1, orchestration.Input)
            {
                Name = orchestration.Name,
                Version = orchestration.Version,
                OrchestrationInstance = instance,
                Tags = orchestration.Tags,
            },
        });
        if (!orchestration.IsSuspended) return;
        await service.SendTaskOrchestrationMessageAsync(new TaskMessage
        {
            OrchestrationInstance = new OrchestrationInstance { InstanceId = orchestration.Id },
            Event = new ExecutionSuspendedEvent(-1, "It was suspended before the host was killed."),
        });
    }

    private static async Task<IReadOnlyList<UnfinishedOrchestration>> ReadAsync(string journal, CancellationToken cancellation)
    {
        if (!File.Exists(journal)) return [];
        await using var file = File.OpenRead(journal);
        return await JsonSerializer.DeserializeAsync<UnfinishedOrchestration[]>(file, cancellationToken: cancellation) ?? [];
    }

    /// <summary>Whole or not at all.</summary>
    private static async Task WriteAsync(string journal, IReadOnlyList<UnfinishedOrchestration> unfinished, CancellationToken cancellation)
    {
        await using (var part = File.Create(journal + ".part")) await JsonSerializer.SerializeAsync(part, unfinished, cancellationToken: cancellation);
        File.Move(journal + ".part", journal, overwrite: true);
    }

    /// <summary>What it takes to begin one anew.</summary>
    private sealed record UnfinishedOrchestration(string Id, string Name, string Version, string Input, IDictionary<string, string>? Tags, bool IsSuspended);
}
