using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.DurableTask;
using Microsoft.DurableTask.Client;
using Microsoft.Extensions.Logging;

namespace RlhfFunctions.LocalHost.Durable;

/// <summary>The client of the engine in this same process.</summary>
internal sealed class LocalDurableTaskClient(
    DurableEngine engine, DataConverter converter, IServer server, ILogger<LocalDurableTaskClient> log) : DurableTaskClient("local")
{
    public const string ManagementPath = "/runtime/webhooks/durabletask";

    /// <summary>Where the management endpoints answer, as a client on this machine sees them.</summary>
    public string ManagementAddress
    {
        get
        {
            var address = server.Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault() ?? "http://localhost:7071";
            return address.Replace("[::]", "localhost").Replace("0.0.0.0", "localhost").TrimEnd('/') + ManagementPath;
        }
    }

    public override async Task<string> ScheduleNewOrchestrationInstanceAsync(
        TaskName orchestratorName,
        object? input = null,
        StartOrchestrationOptions? options = null,
        CancellationToken cancellation = default)
    {
        var id = options?.InstanceId ?? Guid.NewGuid().ToString("N");
        var instance = Instance.New(id, orchestratorName, converter.Serialize(input), engine.Now) with { StartAt = options?.StartAt };
        await engine.ScheduleAsync(instance, cancellation);
        return id;
    }

    /// <summary>An event for an instance that has ended, or never was, is dropped, as by the real client.</summary>
    public override async Task RaiseEventAsync(
        string instanceId, string eventName, object? eventPayload = null, CancellationToken cancellation = default)
    {
        if (!await SendAsync(instanceId, new Raise(new(eventName, Serialize(eventPayload))), cancellation))
            log.LogWarning("Dropped event {Event}: there is no active instance {InstanceId}.", eventName, instanceId);
    }

    public override async Task<OrchestrationMetadata> WaitForInstanceStartAsync(
        string instanceId, bool getInputsAndOutputs = false, CancellationToken cancellation = default)
    {
        if (engine.FindLive(instanceId) is { } actor)
            await actor.OrchestratorStarted.WaitAsync(cancellation);
        return await GetExistingAsync(instanceId, getInputsAndOutputs, cancellation);
    }

    public override async Task<OrchestrationMetadata> WaitForInstanceCompletionAsync(
        string instanceId, bool getInputsAndOutputs = false, CancellationToken cancellation = default)
    {
        if (engine.FindLive(instanceId) is { } actor)
            await actor.Completed.WaitAsync(cancellation);
        return await GetExistingAsync(instanceId, getInputsAndOutputs, cancellation);
    }

    public override async Task TerminateInstanceAsync(
        string instanceId, TerminateInstanceOptions? options = null, CancellationToken cancellation = default)
    {
        await SendAsync(instanceId, new Terminate(Serialize(options?.Output)), cancellation);
        if (options?.Recursive == true)
            await foreach (var child in ChildrenOf(instanceId, status => !Instance.IsFinal(status), cancellation))
                await TerminateInstanceAsync(child, options, cancellation);
    }

    public override Task SuspendInstanceAsync(string instanceId, string? reason = null, CancellationToken cancellation = default) =>
        SendAsync(instanceId, new Suspend(), cancellation);

    public override Task ResumeInstanceAsync(string instanceId, string? reason = null, CancellationToken cancellation = default) =>
        SendAsync(instanceId, new Resume(), cancellation);

    public override async Task<OrchestrationMetadata?> GetInstancesAsync(
        string instanceId, bool getInputsAndOutputs = false, CancellationToken cancellation = default)
    {
        var instance = engine.FindLive(instanceId)?.Instance
            ?? (await engine.Store.ReadAsync(instanceId, cancellation))?.Instance;
        return instance is null ? null : Describe(instance, getInputsAndOutputs);
    }

    public override AsyncPageable<OrchestrationMetadata> GetAllInstancesAsync(OrchestrationQuery? filter = null) =>
        new InstancePages(filter ?? new(), engine.Store, Describe);

    /// <summary>Deletes the record of an instance that has ended; an active one stays.</summary>
    public override async Task<PurgeResult> PurgeInstanceAsync(
        string instanceId, PurgeInstanceOptions? options = null, CancellationToken cancellation = default)
    {
        var count = 0;
        if (options?.Recursive == true)
            await foreach (var child in ChildrenOf(instanceId, Instance.IsFinal, cancellation))
                count += (await PurgeInstanceAsync(child, options, cancellation)).PurgedInstanceCount;
        if (engine.FindLive(instanceId) is null && await engine.Store.DeleteAsync(instanceId, cancellation))
            count++;
        return new(count);
    }

    public override ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>What came in as JSON goes on as it is; the app's options need not know how to write it.</summary>
    private string? Serialize(object? value) => value is JsonNode json ? json.ToJsonString() : converter.Serialize(value);

    private async Task<bool> SendAsync(string instanceId, Message message, CancellationToken cancellation) =>
        engine.FindLive(instanceId) is { } actor && await actor.TrySendAsync(message).WaitAsync(cancellation);

    private async Task<OrchestrationMetadata> GetExistingAsync(string instanceId, bool withData, CancellationToken cancellation) =>
        await GetInstancesAsync(instanceId, withData, cancellation)
        ?? throw new InvalidOperationException($"There is no orchestration instance with the id '{instanceId}'.");

    private IAsyncEnumerable<string> ChildrenOf(
        string instanceId, Func<OrchestrationRuntimeStatus, bool> statusPasses, CancellationToken cancellation) =>
        engine.Store.ReadAllAsync(statusPasses, cancellation: cancellation)
            .Where(stored => stored.Instance.Parent?.InstanceId == instanceId)
            .Select(stored => stored.Instance.InstanceId);

    private OrchestrationMetadata Describe(Instance instance, bool withData) => new(instance.Name, instance.InstanceId)
    {
        RuntimeStatus = instance.Status,
        CreatedAt = instance.CreatedAt,
        LastUpdatedAt = instance.LastUpdatedAt,
        DataConverter = withData ? converter : null,
        SerializedInput = withData ? instance.Input : null,
        SerializedOutput = withData ? instance.Output : null,
        SerializedCustomStatus = withData ? instance.CustomStatus : null,
        FailureDetails = withData ? instance.Failure : null,
    };

    private sealed class InstancePages(
        OrchestrationQuery query, InstanceStore store, Func<Instance, bool, OrchestrationMetadata> describe)
        : AsyncPageable<OrchestrationMetadata>
    {
        /// <summary>One page holds all: this host keeps what one machine keeps.</summary>
        public override async IAsyncEnumerable<Page<OrchestrationMetadata>> AsPages(
            string? continuationToken = null, int? pageSizeHint = null)
        {
            var found = await store
                .ReadAllAsync(status => query.Statuses?.Contains(status) ?? true, query.InstanceIdPrefix)
                .Select(stored => stored.Instance)
                .Where(instance => !(instance.CreatedAt < query.CreatedFrom) && !(instance.CreatedAt > query.CreatedTo))
                .Select(instance => describe(instance, query.FetchInputsAndOutputs))
                .ToListAsync();
            yield return new(found);
        }
    }
}
