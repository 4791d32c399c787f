using Microsoft.DurableTask;
using Microsoft.DurableTask.Client;
using Microsoft.Extensions.Logging;

namespace RlhfFunctions.LocalHost.Durable;

/// <summary>One turn of an instance: what lies in its inbox goes into its history, and the orchestrator runs on.</summary>
internal static class Episode
{
    public static Instance Run(
        Instance instance,
        Orchestrator code,
        DataConverter converter,
        ILoggerFactory loggers,
        Action onForeignContinuation,
        DateTimeOffset now)
    {
        IReadOnlyList<HistoryEvent> history = [.. instance.History, new EpisodeStarted(now.UtcDateTime), .. instance.Inbox];
        var result = Replay.Run(instance, history, code, converter, loggers, onForeignContinuation);
        var after = instance with
        {
            Status = OrchestrationRuntimeStatus.Running,
            CustomStatus = result.HasCustomStatus ? result.CustomStatus : instance.CustomStatus,
            History = [.. history, .. result.NewCalls],
            Inbox = [],
            LastUpdatedAt = now,
        };
        return result.Ending switch
        {
            null => after,
            ContinuedAsNew next => after.NextGeneration(next.Input, next.KeptEvents, now),
            Succeeded success => after with { Status = OrchestrationRuntimeStatus.Completed, Output = success.Output },
            Failed failed => after with { Status = OrchestrationRuntimeStatus.Failed, Failure = failed.Failure },
            _ => throw new NotSupportedException($"{result.Ending} is no ending."),
        };
    }
}
