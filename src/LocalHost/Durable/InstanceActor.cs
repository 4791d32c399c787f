using System.Threading.Channels;
using Microsoft.DurableTask.Client;
using Microsoft.Extensions.Logging;

namespace RlhfFunctions.LocalHost.Durable;

/// <summary>
/// One live instance: takes what arrives for it in order, lets its orchestrator run on, stores the result, and only
/// then starts what the orchestrator asked for. Whatever was not stored when the process died never happened.
/// </summary>
internal sealed class InstanceActor
{
    private static readonly TimeSpan StorageRetryDelay = TimeSpan.FromSeconds(2);

    private readonly DurableEngine _engine;
    private readonly Channel<(Message Message, TaskCompletionSource Stored)> _mailbox =
        Channel.CreateUnbounded<(Message, TaskCompletionSource)>(new() { SingleReader = true });
    private readonly HashSet<(string ExecutionId, int CallId)> _startedCalls = [];
    private readonly TaskCompletionSource _orchestratorStarted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _completed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile StoredInstance _stored;

    public InstanceActor(DurableEngine engine, StoredInstance stored)
    {
        _engine = engine;
        _stored = stored;
    }

    /// <summary>The instance as it was last stored.</summary>
    public Instance Instance => _stored.Instance;

    public Task OrchestratorStarted => _orchestratorStarted.Task;

    public Task Completed => _completed.Task;

    /// <summary>Ends when the instance is finished or the mailbox is closed.</summary>
    public Task Loop { get; private set; } = Task.CompletedTask;

    public void Start() => Loop = Task.Run(RunAsync);

    /// <summary>The task is done when the message has been dealt with and that is stored. False: the instance is gone.</summary>
    public async Task<bool> TrySendAsync(Message message)
    {
        var stored = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        if (!_mailbox.Writer.TryWrite((message, stored)))
            return false;
        await stored.Task;
        return true;
    }

    /// <summary>Lets the loop deal with what is in the mailbox and end.</summary>
    public void CloseMailbox() => _mailbox.Writer.TryComplete();

    private async Task RunAsync()
    {
        var letters = new List<(Message Message, TaskCompletionSource Stored)>();
        try
        {
            AnnounceAndStartCalls();
            while (!Instance.IsCompleted())
            {
                if (!Instance.IsDue(_engine.Now) && !await _mailbox.Reader.WaitToReadAsync())
                    break;
                while (_mailbox.Reader.TryRead(out var letter))
                    letters.Add(letter);
                await StepAsync(letters.Select(letter => letter.Message));
                letters.ForEach(letter => letter.Stored.TrySetResult());
                letters.Clear();
                AnnounceAndStartCalls();
            }
        }
        catch (Exception problem)
        {
            letters.ForEach(letter => letter.Stored.TrySetException(problem));
            _completed.TrySetException(problem);
            _orchestratorStarted.TrySetException(problem);
            _engine.OnActorFailed(Instance.InstanceId, problem);
        }
        CloseMailbox();
        _completed.TrySetCanceled();
        _orchestratorStarted.TrySetCanceled();
        while (_mailbox.Reader.TryRead(out var late))
            if (Instance.IsCompleted())
                late.Stored.TrySetResult();
            else
                late.Stored.TrySetException(new InvalidOperationException("The host is stopping."));
    }

    private async Task StepAsync(IEnumerable<Message> messages)
    {
        var now = _engine.Now;
        var next = messages.Aggregate(Instance, (instance, message) => instance.Receive(message));
        if (next.IsDue(now))
            next = _engine.RunEpisode(next, now, BreakOnForeignContinuation);
        if (ReferenceEquals(next, Instance))
            return;
        next = next with { LastUpdatedAt = now };
        for (; ; )
        {
            try
            {
                _stored = await _engine.Store.WriteAsync(next, _stored.Version, CancellationToken.None);
                return;
            }
            catch (Exception problem) when (problem is not SecondHostException && !_engine.IsStopping)
            {
                _engine.Log.LogError(problem, "Could not store instance {InstanceId}; trying again.", next.InstanceId);
                await Task.Delay(StorageRetryDelay);
            }
        }
    }

    private void AnnounceAndStartCalls()
    {
        var instance = Instance;
        if (instance.Status != OrchestrationRuntimeStatus.Pending)
            _orchestratorStarted.TrySetResult();
        if (instance.IsCompleted())
        {
            _engine.OnCompleted(this);
            _completed.TrySetResult();
            return;
        }
        if (instance.StartAt > _engine.Now)
            _engine.WakeLater(instance);
        foreach (var call in instance.OpenCalls())
            if (_startedCalls.Add((instance.ExecutionId, call.Id)))
                _engine.StartCall(instance, call);
    }

    private void BreakOnForeignContinuation() =>
        _mailbox.Writer.TryWrite((new Break(new(
            typeof(NonDeterministicOrchestrationException).FullName!,
            $"Non-deterministic orchestrator '{Instance.Name}', instance '{Instance.InstanceId}'. {Replay.AwaitsForeignTask}.",
            null, null, null)), new()));
}
