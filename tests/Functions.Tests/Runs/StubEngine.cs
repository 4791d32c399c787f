using Microsoft.DurableTask;
using Microsoft.DurableTask.Client;
using Microsoft.DurableTask.Converters;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.Runs;

/// <summary>An engine that knows what a test tells it, and remembers what it was asked to start.</summary>
internal sealed class StubEngine() : DurableTaskClient("stub")
{
    private static readonly JsonDataConverter Json = new(ContractsJson.Options);

    private readonly Dictionary<string, OrchestrationMetadata> _instances = [];

    /// <summary>What was started: which orchestration, with what, under which id.</summary>
    public List<(string Name, object? Input, string? Id)> Started { get; } = [];

    public void Add(RlhfRunState state, OrchestrationRuntimeStatus status, RunProgress? progress = null)
    {
        _instances[state.RunId] = new OrchestrationMetadata(FunctionNames.RlhfRun, state.RunId)
        {
            RuntimeStatus = status,
            SerializedInput = Json.Serialize(state),
            SerializedCustomStatus = progress is null ? null : Json.Serialize(progress),
            DataConverter = Json,
        };
    }

    public override Task<OrchestrationMetadata?> GetInstancesAsync(string instanceId, bool getInputsAndOutputs = false, CancellationToken cancellation = default)
    {
        return Task.FromResult(_instances.GetValueOrDefault(instanceId));
    }

    public override AsyncPageable<OrchestrationMetadata> GetAllInstancesAsync(OrchestrationQuery? filter = null)
    {
        OrchestrationMetadata[] found = [.. _instances.Values.Where(instance => filter?.Statuses is not { } statuses || statuses.Contains(instance.RuntimeStatus))];
        return Pageable.Create((_, _) => Task.FromResult(new Page<OrchestrationMetadata>(found)));
    }

    public override Task<string> ScheduleNewOrchestrationInstanceAsync(
        TaskName orchestratorName, object? input = null, StartOrchestrationOptions? options = null, CancellationToken cancellation = default)
    {
        Started.Add((orchestratorName.Name, input, options?.InstanceId));
        return Task.FromResult(options?.InstanceId ?? "");
    }

    public override Task TerminateInstanceAsync(string instanceId, TerminateInstanceOptions? options = null, CancellationToken cancellation = default)
    {
        return Task.CompletedTask;
    }

    public override Task RaiseEventAsync(string instanceId, string eventName, object? eventPayload = null, CancellationToken cancellation = default)
    {
        throw new NotSupportedException();
    }

    public override Task<OrchestrationMetadata> WaitForInstanceStartAsync(string instanceId, bool getInputsAndOutputs = false, CancellationToken cancellation = default)
    {
        throw new NotSupportedException();
    }

    public override Task<OrchestrationMetadata> WaitForInstanceCompletionAsync(string instanceId, bool getInputsAndOutputs = false, CancellationToken cancellation = default)
    {
        throw new NotSupportedException();
    }

    public override Task SuspendInstanceAsync(string instanceId, string? reason = null, CancellationToken cancellation = default)
    {
        throw new NotSupportedException();
    }

    public override Task ResumeInstanceAsync(string instanceId, string? reason = null, CancellationToken cancellation = default)
    {
        throw new NotSupportedException();
    }

    public override ValueTask DisposeAsync()
    {
        return ValueTask.CompletedTask;
    }
}
