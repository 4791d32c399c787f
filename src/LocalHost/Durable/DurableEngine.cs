using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask;
using Microsoft.DurableTask.Client;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RlhfFunctions.LocalHost.Hosting;
using RlhfFunctions.LocalHost.Triggers;

namespace RlhfFunctions.LocalHost.Durable;

/// <summary>
/// Runs orchestrations in this process. All it knows lies in the <see cref="InstanceStore"/>; on start it takes up every
/// instance that has not ended and starts again what was open: activities run at least once, results count once.
/// </summary>
internal sealed class DurableEngine(
    InstanceStore store,
    FunctionCatalog functions,
    LocalFunctionsOptions options,
    DataConverter converter,
    TimeProvider clock,
    IHostApplicationLifetime lifetime,
    ILoggerFactory loggers) : IHostedService, IDisposable
{
    private readonly ConcurrentDictionary<string, InstanceActor> _live = new();
    private readonly ConcurrentDictionary<Task, bool> _running = new();
    private readonly SemaphoreSlim _activitySlots = new(options.MaxConcurrentActivities);
    private readonly SemaphoreSlim _starting = new(1);
    private readonly CancellationTokenSource _stopping = new();
    private Exception? _failure;

    public InstanceStore Store => store;

    public ILogger Log { get; } = loggers.CreateLogger<DurableEngine>();

    public DateTimeOffset Now => clock.GetUtcNow();

    public bool IsStopping => _stopping.IsCancellationRequested;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await store.CreateIfMissingAsync(cancellationToken);
        await foreach (var stored in store.ReadAllAsync(status => !Instance.IsFinal(status), cancellation: cancellationToken))
            _live[stored.Instance.InstanceId] = new(this, stored);
        if (!_live.IsEmpty)
            Log.LogInformation("Going on with {Count} orchestration(s).", _live.Count);
        foreach (var actor in _live.Values)
            actor.Start();
    }

    /// <summary>Stops without loss: what is cut off here was not recorded and is started again by the next host.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        try
        {
            await Task.WhenAll(_running.Keys).WaitAsync(options.StopTimeout, cancellationToken);
        }
        catch (Exception late) when (late is TimeoutException or OperationCanceledException)
        {
            Log.LogWarning("Activities did not stop in time; they will run again on the next start.");
        }
        foreach (var actor in _live.Values)
            actor.CloseMailbox();
        await Task.WhenAll(_live.Values.Select(actor => actor.Loop)).WaitAsync(cancellationToken);
        if (_failure is { } failure)
            ExceptionDispatchInfo.Throw(failure); // so that the application's Run throws it
    }

    public void Dispose()
    {
        _activitySlots.Dispose();
        _starting.Dispose();
        _stopping.Dispose();
    }

    public InstanceActor? FindLive(string instanceId) =>
        _live.TryGetValue(instanceId, out var actor) && !actor.Instance.IsCompleted() ? actor : null;

    /// <summary>Stores a new instance and starts it. An id that has ended may be used again; one that is active may not.</summary>
    public async Task ScheduleAsync(Instance instance, CancellationToken cancellation)
    {
        functions.Find<OrchestrationTriggerAttribute>(instance.Name); // throws when there is none
        await _starting.WaitAsync(cancellation);
        try
        {
            var existing = await store.ReadAsync(instance.InstanceId, cancellation);
            if (existing?.Instance.IsCompleted() == false)
                throw new InvalidOperationException(
                    $"An orchestration instance with the id '{instance.InstanceId}' is already {existing.Instance.Status}.");
            var actor = new InstanceActor(this, await store.WriteAsync(instance, existing?.Version, cancellation));
            _live[instance.InstanceId] = actor;
            actor.Start();
        }
        finally
        {
            _starting.Release();
        }
    }

    public Instance RunEpisode(Instance instance, DateTimeOffset now, Action onForeignContinuation) => Episode.Run(
        instance, functions.OrchestratorOf(instance.Name), converter, loggers, onForeignContinuation, now);

    /// <summary>Starts, in the background, what a stored call asks for.</summary>
    public void StartCall(Instance instance, Call call) => InBackground(call switch
    {
        ActivityCall activity => () => RunActivityAsync(instance, activity),
        TimerCall timer => () => RunTimerAsync(instance, timer),
        SubOrchestrationCall child => () => RunSubOrchestrationAsync(instance, child),
        _ => throw new NotSupportedException($"{call} is no call."),
    });

    public void WakeLater(Instance instance) => InBackground(async () =>
    {
        await clock.DelayUntilAsync(instance.StartAt!.Value, _stopping.Token);
        await SendAsync(instance.InstanceId, new Wake());
    });

    public void OnCompleted(InstanceActor actor)
    {
        var instance = actor.Instance;
        _live.TryRemove(new(instance.InstanceId, actor));
        Log.LogInformation("Orchestration {Name} {InstanceId}: {Status}.", instance.Name, instance.InstanceId, instance.Status);
        if (instance.Failure is { } failure)
            Log.LogError("Orchestration {InstanceId} failed: {Type}: {Message}",
                instance.InstanceId, failure.ErrorType, failure.ErrorMessage);
        if (instance.Parent is { } parent)
            InBackground(() => SendAsync(parent.InstanceId, AnswerTo(parent, instance)));
    }

    public void OnActorFailed(string instanceId, Exception problem)
    {
        Log.LogCritical(problem, "Orchestration {InstanceId} cannot go on, and so this host stops: {Problem}", instanceId, problem.Message);
        _failure ??= problem;
        lifetime.StopApplication();
    }

    private void InBackground(Func<Task> work)
    {
        if (IsStopping)
            return;
        var task = Task.Run(async () =>
        {
            try
            {
                await work();
            }
            catch (OperationCanceledException) when (IsStopping)
            {
                // Not recorded, so the next host starts it again.
            }
            catch (Exception problem)
            {
                Log.LogError(problem, "Background work of the durable engine failed.");
            }
        });
        _running[task] = true;
        task.ContinueWith(done => _running.TryRemove(done, out _), TaskScheduler.Default);
    }

    private Task SendAsync(string instanceId, Message message) =>
        FindLive(instanceId)?.TrySendAsync(message) ?? Task.CompletedTask;

    private async Task RunActivityAsync(Instance instance, ActivityCall call)
    {
        await _activitySlots.WaitAsync(_stopping.Token);
        Outcome outcome;
        try
        {
            if (FindLive(instance.InstanceId)?.Instance.ExecutionId != instance.ExecutionId)
                return; // ended while it waited for its turn
            outcome = new CallSucceeded(call.Id, await functions.RunActivityAsync(call.Name, call.Input, _stopping.Token));
        }
        catch (Exception cutOff) when (IsStopping)
        {
            Log.LogInformation("Activity {Name} was cut off and will run again: {Reason}", call.Name, cutOff.Message);
            return;
        }
        catch (Exception problem)
        {
            Log.LogWarning(problem, "Activity {Name} of {InstanceId} failed.", call.Name, instance.InstanceId);
            outcome = new CallFailed(call.Id, TaskFailureDetails.FromException(problem));
        }
        finally
        {
            _activitySlots.Release();
        }
        await SendAsync(instance.InstanceId, new Settle(instance.ExecutionId, outcome));
    }

    private async Task RunTimerAsync(Instance instance, TimerCall call)
    {
        await clock.DelayUntilAsync(call.FireAt, _stopping.Token);
        await SendAsync(instance.InstanceId, new Settle(instance.ExecutionId, new CallSucceeded(call.Id, null)));
    }

    /// <summary>Starts the child, unless an earlier attempt already did: then its answer may lie ready.</summary>
    private async Task RunSubOrchestrationAsync(Instance instance, SubOrchestrationCall call)
    {
        var parent = new ParentCall(instance.Name, instance.InstanceId, instance.ExecutionId, call.Id);
        try
        {
            var existing = (await store.ReadAsync(call.InstanceId, _stopping.Token))?.Instance;
            if (existing?.Parent != parent)
                await ScheduleAsync(Instance.New(call.InstanceId, call.Name, call.Input, Now) with { Parent = parent }, _stopping.Token);
            else if (existing.IsCompleted())
                await SendAsync(instance.InstanceId, AnswerTo(parent, existing));
        }
        catch (Exception refused) when (refused is InvalidOperationException or ArgumentException or InvalidDataException)
        {
            await SendAsync(instance.InstanceId, new Settle(
                instance.ExecutionId, new CallFailed(call.Id, TaskFailureDetails.FromException(refused))));
        }
    }

    private static Settle AnswerTo(ParentCall parent, Instance child) => new(
        parent.ExecutionId,
        child.Status == OrchestrationRuntimeStatus.Completed
            ? new CallSucceeded(parent.CallId, child.Output)
            : new CallFailed(parent.CallId, child.Failure ?? new(
                typeof(OperationCanceledException).FullName!,
                $"Sub-orchestration '{child.InstanceId}' was {child.Status}.", null, null, null)));
}
