using System.Collections.Concurrent;
using DurableTask.AzureStorage;
using DurableTask.Core;
using DurableTask.Core.History;
using DurableTask.Core.Middleware;
using Microsoft.DurableTask;
using Microsoft.DurableTask.Converters;
using Microsoft.DurableTask.Worker;
using Microsoft.DurableTask.Worker.Shims;
using Microsoft.Extensions.Logging.Abstractions;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.Orchestration;

/// <summary>
/// The engine that runs in Azure, on Azurite and without a host: the app's orchestrators as they are, and activities that a test
/// makes up.
/// </summary>
internal sealed class Engine(string connection) : IAsyncDisposable
{
    private static readonly JsonDataConverter Json = new(ContractsJson.Options);
    private static readonly DurableTaskShimFactory Shims = new(new DurableTaskWorkerOptions { DataConverter = Json }, NullLoggerFactory.Instance);

    private readonly AzureStorageOrchestrationServiceSettings _settings = new()
    {
        TaskHubName = $"engine{Guid.NewGuid():n}"[..30],
        PartitionCount = 1,
        StorageAccountClientProvider = new StorageAccountClientProvider(connection),
        MaxQueuePollingInterval = TimeSpan.FromMilliseconds(100),
        ControlQueueVisibilityTimeout = TimeSpan.FromMinutes(1),
        WorkItemQueueVisibilityTimeout = TimeSpan.FromMinutes(1),
        UseAppLease = false,
    };

    private readonly List<ObjectCreator<TaskOrchestration>> _orchestrators = [];
    private readonly List<ObjectCreator<TaskActivity>> _activities = [];
    private AzureStorageOrchestrationService? _service;
    private TaskHubWorker? _worker;

    /// <summary>Every activity that was called, in order: its name and its input.</summary>
    public ConcurrentQueue<(string Name, object Input)> Calls { get; } = new();

    /// <summary>Runs every activity twice and tells the orchestration of its end twice, as at-least-once delivery may.</summary>
    public bool DeliversTwice { get; init; }

    /// <summary>
    /// How long a message that was taken stays away from others. Short where engines are stopped, so that what one had taken comes back
    /// soon; on a busy machine a short one runs out before its renewal, and the message is taken twice.
    /// </summary>
    public TimeSpan Visibility
    {
        init => _settings.ControlQueueVisibilityTimeout = _settings.WorkItemQueueVisibilityTimeout = value;
    }

    public void Orchestrator<TInput, TOutput>(string name, Func<TaskOrchestrationContext, TInput, Task<TOutput?>> run)
    {
        _orchestrators.Add(new Creator<TaskOrchestration>(name, () => Shims.CreateOrchestration<TInput, TOutput>(name, run!)));
    }

    public void Activity<TInput>(string name, Func<TInput, object?> run)
        where TInput : notnull
    {
        _activities.RemoveAll(activity => activity.Name == name); // the last one stands
        _activities.Add(new Creator<TaskActivity>(name, () => Shims.CreateActivity<TInput, object>(name, (_, input) =>
        {
            Calls.Enqueue((name, input!));
            return Task.FromResult(run(input!));
        })));
    }

    public async Task StartAsync()
    {
        _service = new AzureStorageOrchestrationService(_settings);
        await _service.CreateIfNotExistsAsync();
        _worker = new TaskHubWorker(_service) { ErrorPropagationMode = ErrorPropagationMode.UseFailureDetails };
        _worker.AddTaskOrchestrations([.. _orchestrators]);
        _worker.AddTaskActivities([.. _activities]);
        _worker.AddActivityDispatcherMiddleware(DeliverAsync);
        await _worker.StartAsync();
    }

    /// <summary>As a process that is killed, and another that takes over.</summary>
    public async Task RestartAsync()
    {
        await StopAsync();
        await StartAsync();
    }

    public async Task<string> BeginAsync(string orchestrator, object input)
    {
        var instance = new OrchestrationInstance { InstanceId = Guid.NewGuid().ToString("n"), ExecutionId = Guid.NewGuid().ToString("n") };
        await _service!.CreateTaskOrchestrationAsync(new TaskMessage
        {
            OrchestrationInstance = instance,
            Event = new ExecutionStartedEvent(-1, Json.Serialize(input)) { Name = orchestrator, Version = "", OrchestrationInstance = instance },
        });
        return instance.InstanceId;
    }

    /// <summary>The state in which the orchestration ended, or null after a while in which it did not.</summary>
    public async Task<OrchestrationState?> WaitAsync(string instanceId, TimeSpan patience)
    {
        for (var deadline = DateTime.UtcNow + patience; DateTime.UtcNow < deadline; await Task.Delay(50))
        {
            var state = (await _service!.GetOrchestrationStateAsync(instanceId, allExecutions: false)).SingleOrDefault();
            if (state?.OrchestrationStatus is OrchestrationStatus.Completed or OrchestrationStatus.Failed) return state;
        }

        return null;
    }

    public static T Read<T>(string json)
    {
        return (T)Json.Deserialize(json, typeof(T))!;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        await _service!.DeleteAsync();
    }

    private async Task StopAsync()
    {
        await _worker!.StopAsync(isForced: true);
        _worker.Dispose();
    }

    private async Task DeliverAsync(DispatchMiddlewareContext context, Func<Task> next)
    {
        await next();
        if (!DeliversTwice) return;
        await next();
        var instance = context.GetProperty<OrchestrationInstance>();
        var ended = context.GetProperty<ActivityExecutionResult>().ResponseEvent;
        await _service!.SendTaskOrchestrationMessageAsync(new TaskMessage { OrchestrationInstance = instance, Event = ended });
    }

    private sealed class Creator<T> : ObjectCreator<T>
    {
        private readonly Func<T> _create;

        public Creator(string name, Func<T> create)
        {
            Name = name;
            Version = "";
            _create = create;
        }

        public override T Create()
        {
            return _create();
        }
    }
}
