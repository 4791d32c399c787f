using System.Text.Json.Serialization;
using Microsoft.DurableTask;

namespace RlhfFunctions.LocalHost.Durable;

/// <summary>
/// What happened to one generation of an instance, in order. Replaying these events through the orchestrator's code
/// brings it back to where it was; nothing else is kept about a running orchestrator.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "event")]
[JsonDerivedType(typeof(EpisodeStarted), "episodeStarted")]
[JsonDerivedType(typeof(ExecutionStarted), "executionStarted")]
[JsonDerivedType(typeof(EventRaised), "eventRaised")]
[JsonDerivedType(typeof(ActivityCall), "activityCall")]
[JsonDerivedType(typeof(TimerCall), "timerCall")]
[JsonDerivedType(typeof(SubOrchestrationCall), "subOrchestrationCall")]
[JsonDerivedType(typeof(CallSucceeded), "callSucceeded")]
[JsonDerivedType(typeof(CallFailed), "callFailed")]
internal abstract record HistoryEvent;

/// <summary>The orchestrator ran once more; <paramref name="Time"/> is its clock until the next such event.</summary>
internal sealed record EpisodeStarted(DateTime Time) : HistoryEvent;

internal sealed record ExecutionStarted(string? Input) : HistoryEvent;

internal sealed record EventRaised(string Name, string? Payload) : HistoryEvent;

/// <summary>The orchestrator asked for something; <paramref name="Id"/> counts its calls from 0 in each generation.</summary>
internal abstract record Call(int Id) : HistoryEvent
{
    /// <summary>What the same code must ask for again when it is replayed.</summary>
    public abstract string Describe();
}

internal sealed record ActivityCall(int Id, string Name, string? Input) : Call(Id)
{
    public override string Describe() => $"activity '{Name}'";
}

internal sealed record TimerCall(int Id, DateTime FireAt) : Call(Id)
{
    public override string Describe() => "timer";
}

internal sealed record SubOrchestrationCall(int Id, string Name, string InstanceId, string? Input) : Call(Id)
{
    public override string Describe() => $"sub-orchestration '{Name}'";
}

/// <summary>What became of the call <paramref name="Id"/>.</summary>
internal abstract record Outcome(int Id) : HistoryEvent;

internal sealed record CallSucceeded(int Id, string? Result) : Outcome(Id);

internal sealed record CallFailed(int Id, TaskFailureDetails Failure) : Outcome(Id);
