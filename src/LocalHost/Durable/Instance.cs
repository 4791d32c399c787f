using Microsoft.DurableTask;
using Microsoft.DurableTask.Client;

namespace RlhfFunctions.LocalHost.Durable;

/// <summary>An orchestration instance as it lies in storage, whole: one blob, one record.</summary>
internal sealed record Instance
{
    public required string InstanceId { get; init; }

    public required string Name { get; init; }

    /// <summary>Names this generation; what an earlier one still had running answers to another and is dropped.</summary>
    public required string ExecutionId { get; init; }

    public required OrchestrationRuntimeStatus Status { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset LastUpdatedAt { get; init; }

    public DateTimeOffset? StartAt { get; init; }

    public ParentCall? Parent { get; init; }

    public string? Input { get; init; }

    public string? Output { get; init; }

    public string? CustomStatus { get; init; }

    public TaskFailureDetails? Failure { get; init; }

    /// <summary>What the orchestrator has seen and asked for in this generation.</summary>
    public required IReadOnlyList<HistoryEvent> History { get; init; }

    /// <summary>What has arrived since, for its next episode.</summary>
    public required IReadOnlyList<HistoryEvent> Inbox { get; init; }

    public static bool IsFinal(OrchestrationRuntimeStatus status) => status is OrchestrationRuntimeStatus.Completed
        or OrchestrationRuntimeStatus.Failed or OrchestrationRuntimeStatus.Terminated or OrchestrationRuntimeStatus.Canceled;

    public bool IsCompleted() => IsFinal(Status);

    /// <summary>Calls of this generation without an outcome yet: what the engine owes the orchestrator.</summary>
    public IEnumerable<Call> OpenCalls()
    {
        var settled = History.Concat(Inbox).OfType<Outcome>().Select(outcome => outcome.Id).ToHashSet();
        return History.OfType<Call>().Where(call => !settled.Contains(call.Id));
    }

    public bool IsDue(DateTimeOffset now) =>
        Status is OrchestrationRuntimeStatus.Pending or OrchestrationRuntimeStatus.Running
        && Inbox.Count > 0
        && !(StartAt > now);

    public static Instance New(string instanceId, string name, string? input, DateTimeOffset now) => new()
    {
        InstanceId = instanceId,
        Name = name,
        ExecutionId = NewExecutionId(),
        Status = OrchestrationRuntimeStatus.Pending,
        CreatedAt = now,
        LastUpdatedAt = now,
        Input = input,
        History = [],
        Inbox = [new ExecutionStarted(input)],
    };

    /// <summary>ContinueAsNew: the same instance with an empty history; only its custom status lives on.</summary>
    public Instance NextGeneration(string? input, IEnumerable<EventRaised> keptEvents, DateTimeOffset now) => this with
    {
        ExecutionId = NewExecutionId(),
        CreatedAt = now,
        Input = input,
        History = [],
        Inbox = [new ExecutionStarted(input), .. keptEvents],
    };

    /// <summary>The instance after <paramref name="message"/>; the very same record when the message no longer concerns it.</summary>
    public Instance Receive(Message message) => message switch
    {
        _ when IsCompleted() => this,
        Terminate terminate => this with { Status = OrchestrationRuntimeStatus.Terminated, Output = terminate.Output },
        Break broken => this with { Status = OrchestrationRuntimeStatus.Failed, Failure = broken.Failure },
        Suspend => this with { Status = OrchestrationRuntimeStatus.Suspended },
        Resume when Status == OrchestrationRuntimeStatus.Suspended => this with
        {
            Status = History.Count == 0 ? OrchestrationRuntimeStatus.Pending : OrchestrationRuntimeStatus.Running,
        },
        Raise raise => this with { Inbox = [.. Inbox, raise.Event] },
        Settle settle when settle.ExecutionId == ExecutionId && OpenCalls().Any(call => call.Id == settle.Outcome.Id) =>
            this with { Inbox = [.. Inbox, settle.Outcome] },
        _ => this,
    };

    private static string NewExecutionId() => Guid.NewGuid().ToString("N");
}

/// <summary>The call of another instance that this one answers.</summary>
internal sealed record ParentCall(string Name, string InstanceId, string ExecutionId, int CallId);

/// <summary>What can reach an instance from outside.</summary>
internal abstract record Message;

internal sealed record Raise(EventRaised Event) : Message;

internal sealed record Settle(string ExecutionId, Outcome Outcome) : Message;

internal sealed record Terminate(string? Output) : Message;

/// <summary>The orchestrator was caught doing what cannot be replayed, after its episode had ended.</summary>
internal sealed record Break(TaskFailureDetails Failure) : Message;

internal sealed record Suspend : Message;

internal sealed record Resume : Message;

/// <summary>Its start time has come; look again.</summary>
internal sealed record Wake : Message;
