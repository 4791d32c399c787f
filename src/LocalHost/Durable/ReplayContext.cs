using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Microsoft.DurableTask;
using Microsoft.Extensions.Logging;

namespace RlhfFunctions.LocalHost.Durable;

/// <summary>What an orchestrator sees during one replay, and the record of what it asked for.</summary>
internal sealed class ReplayContext(
    Instance instance, OrchestratorThread thread, DataConverter converter, ILoggerFactory loggers) : TaskOrchestrationContext
{
    private readonly SortedDictionary<int, Call> _callsNotInHistory = [];
    private readonly Dictionary<int, Action<Outcome>> _awaited = [];
    private readonly List<EventRaised> _unclaimedEvents = [];
    private readonly List<(string Name, Action<EventRaised> Claim)> _eventWaiters = [];
    private string? _input;
    private DateTime _time;
    private bool _isReplaying;
    private int _callCount;
    private int _guidCount;
    private (string? Input, bool KeepEvents)? _continuation;

    public override TaskName Name => instance.Name;

    public override string InstanceId => instance.InstanceId;

    public override ParentOrchestrationInstance? Parent { get; } =
        instance.Parent is { } parent ? new(parent.Name, parent.InstanceId) : null;

    public override DateTime CurrentUtcDateTime => _time;

    public override bool IsReplaying => _isReplaying;

    protected override ILoggerFactory LoggerFactory => loggers;

    public bool HasCustomStatus { get; private set; }

    public string? CustomStatus { get; private set; }

    /// <summary>The calls that the history does not know yet.</summary>
    public IReadOnlyList<Call> NewCalls => [.. _callsNotInHistory.Values];

    /// <summary>Whether anything durable is outstanding that could wake the orchestrator again.</summary>
    public bool AwaitsSomething => _awaited.Count > 0 || _eventWaiters.Count > 0;

    public ContinuedAsNew? NextGeneration => _continuation is { } next
        ? new(next.Input, next.KeepEvents ? _unclaimedEvents : [])
        : null;

    public override T? GetInput<T>() where T : default => converter.Deserialize<T>(_input);

    public override Task<TResult> CallActivityAsync<TResult>(TaskName name, object? input = null, TaskOptions? options = null) =>
        WithRetries(options, () => Issue<TResult>(name, id => new ActivityCall(id, name, converter.Serialize(input))));

    public override Task<TResult> CallSubOrchestratorAsync<TResult>(
        TaskName orchestratorName, object? input = null, TaskOptions? options = null) =>
        WithRetries(options, () =>
        {
            var child = (options as SubOrchestrationOptions)?.InstanceId ?? NewGuid().ToString("N");
            return Issue<TResult>(
                orchestratorName, id => new SubOrchestrationCall(id, orchestratorName, child, converter.Serialize(input)));
        });

    public override Task CreateTimer(DateTime fireAt, CancellationToken cancellationToken) =>
        Issue<object?>("timer", id => new TimerCall(id, fireAt.ToUniversalTime()), cancellationToken);

    public override Task<T> WaitForExternalEvent<T>(string eventName, CancellationToken cancellationToken = default)
    {
        ExpectOwnThread();
        var arrival = _unclaimedEvents.FindIndex(raised => IsNamed(raised, eventName));
        if (arrival >= 0)
        {
            var raised = _unclaimedEvents[arrival];
            _unclaimedEvents.RemoveAt(arrival);
            return Task.FromResult(converter.Deserialize<T>(raised.Payload)!);
        }
        var source = new TaskCompletionSource<T>();
        (string Name, Action<EventRaised> Claim) waiter = (eventName, raised => Complete(source, raised.Payload));
        _eventWaiters.Add(waiter);
        cancellationToken.Register(() =>
        {
            _eventWaiters.Remove(waiter);
            source.TrySetCanceled(cancellationToken);
        });
        return source.Task;
    }

    public override void SetCustomStatus(object? customStatus)
    {
        ExpectOwnThread();
        HasCustomStatus = true;
        CustomStatus = converter.Serialize(customStatus);
    }

    public override void ContinueAsNew(object? newInput = null, bool preserveUnprocessedEvents = true)
    {
        ExpectOwnThread();
        _continuation = (converter.Serialize(newInput), preserveUnprocessedEvents);
    }

    /// <summary>A name-based (version 5) GUID from the instance, its time and a counter: the same again in every replay.</summary>
    public override Guid NewGuid()
    {
        ExpectOwnThread();
        // The name space is the one Durable Functions uses.
        var space = new Guid("9e952958-5e33-4daf-827f-2fa12937b875");
        var name = Encoding.UTF8.GetBytes($"{InstanceId}_{_time:o}_{_guidCount++}");
#pragma warning disable CA5350 // RFC 9562 prescribes SHA-1 for version 5; nothing secret hangs on it.
        var hash = SHA1.HashData([.. space.ToByteArray(bigEndian: true), .. name]);
#pragma warning restore CA5350
        BinaryPrimitives.WriteUInt16BigEndian(
            hash.AsSpan(6), (ushort)((BinaryPrimitives.ReadUInt16BigEndian(hash.AsSpan(6)) & 0x0fff) | 0x5000));
        hash[8] = (byte)((hash[8] & 0x3f) | 0x80);
        return new(hash.AsSpan(0, 16), bigEndian: true);
    }

    public void SetReplaying(bool isReplaying) => _isReplaying = isReplaying;

    public void SetTime(DateTime time) => _time = time;

    public void SetInput(string? input) => _input = input;

    /// <summary>Hands an event to whoever has waited longest for its name, or keeps it.</summary>
    public void Raise(EventRaised raised)
    {
        var waiter = _eventWaiters.FindIndex(waiter => IsNamed(raised, waiter.Name));
        if (waiter < 0)
        {
            _unclaimedEvents.Add(raised);
            return;
        }
        var claim = _eventWaiters[waiter].Claim;
        _eventWaiters.RemoveAt(waiter);
        claim(raised);
    }

    public void Settle(Outcome outcome)
    {
        if (_awaited.Remove(outcome.Id, out var settle))
            settle(outcome);
    }

    /// <summary>The history has a call here: the code must have made the same one.</summary>
    public void ExpectCall(Call recorded)
    {
        _callsNotInHistory.Remove(recorded.Id, out var made);
        if (made?.Describe() != recorded.Describe())
            throw NonDeterministic(
                $"Call #{recorded.Id} is {recorded.Describe()} in the history, but the code called {made?.Describe() ?? "nothing"}");
    }

    /// <summary>An episode of the past is over: what the code called in it must stand in the history.</summary>
    public void ExpectNoCallBeyondHistory()
    {
        if (_callsNotInHistory.Values.FirstOrDefault() is { } made)
            throw NonDeterministic($"Call #{made.Id} is nothing in the history, but the code called {made.Describe()}");
    }

    public NonDeterministicOrchestrationException NonDeterministic(string what) => new(
        $"Non-deterministic orchestrator '{instance.Name}', instance '{InstanceId}'. {what}.");

    private Task<T> Issue<T>(string name, Func<int, Call> create, CancellationToken cancellationToken = default)
    {
        ExpectOwnThread();
        var id = _callCount++;
        _callsNotInHistory[id] = create(id);
        var source = new TaskCompletionSource<T>();
        _awaited[id] = outcome =>
        {
            if (outcome is CallFailed failed)
                source.TrySetException(new TaskFailedException(name, id, failed.Failure));
            else
                Complete(source, ((CallSucceeded)outcome).Result);
        };
        cancellationToken.Register(() =>
        {
            _awaited.Remove(id);
            source.TrySetCanceled(cancellationToken);
        });
        return source.Task;
    }

    private void Complete<T>(TaskCompletionSource<T> source, string? payload)
    {
        try
        {
            source.TrySetResult(converter.Deserialize<T>(payload)!);
        }
        catch (Exception unreadable)
        {
            source.TrySetException(unreadable);
        }
    }

    /// <summary>Tries again as the policy says, waiting in between by durable timers.</summary>
    private async Task<T> WithRetries<T>(TaskOptions? options, Func<Task<T>> call)
    {
        if (options?.Retry?.Policy is not { } policy)
            return await call();
        var giveUpAt = policy.RetryTimeout == Timeout.InfiniteTimeSpan || policy.RetryTimeout == TimeSpan.MaxValue
            ? DateTime.MaxValue
            : _time + policy.RetryTimeout;
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await call();
            }
            catch (TaskFailedException failed) when (
                attempt < policy.MaxNumberOfAttempts && _time < giveUpAt && policy.ShouldRetry(failed.FailureDetails))
            {
                var wait = policy.FirstRetryInterval.TotalMilliseconds * Math.Pow(policy.BackoffCoefficient, attempt - 1);
                wait = Math.Min(wait, policy.MaxRetryInterval.TotalMilliseconds);
                await CreateTimer(TimeSpan.FromMilliseconds(wait), CancellationToken.None);
            }
        }
    }

    private void ExpectOwnThread()
    {
        if (!thread.IsCurrent)
            throw NonDeterministic(Replay.AwaitsForeignTask);
    }

    private static bool IsNamed(EventRaised raised, string name) =>
        string.Equals(raised.Name, name, StringComparison.OrdinalIgnoreCase);
}
