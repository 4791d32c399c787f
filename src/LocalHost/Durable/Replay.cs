using Microsoft.DurableTask;
using Microsoft.Extensions.Logging;

namespace RlhfFunctions.LocalHost.Durable;

/// <summary>The code of an orchestrator: its context in, its output as an object out.</summary>
internal delegate Task<object?> Orchestrator(TaskOrchestrationContext context);

/// <summary>Where a replay got to: the calls that are new, and how the generation ended if it did.</summary>
internal sealed record ReplayResult(IReadOnlyList<Call> NewCalls, Ending? Ending, bool HasCustomStatus, string? CustomStatus);

internal abstract record Ending;

internal sealed record Succeeded(string? Output) : Ending;

internal sealed record Failed(TaskFailureDetails Failure) : Ending;

internal sealed record ContinuedAsNew(string? Input, IReadOnlyList<EventRaised> KeptEvents) : Ending;

/// <summary>The orchestrator did something that a replay cannot repeat.</summary>
internal sealed class NonDeterministicOrchestrationException(string message) : InvalidOperationException(message);

/// <summary>
/// The heart of the engine, a function from a history to what comes next. It touches no storage and no clock: the
/// orchestrator's code is run from its start, fed with the outcomes in the history, and its calls are checked against
/// the ones recorded there. Calls beyond the end of the history are new.
/// </summary>
internal static class Replay
{
    /// <param name="instance">Who runs; its history and inbox are not looked at.</param>
    /// <param name="history">The events to replay; those after the last <see cref="EpisodeStarted"/> are new to the code.</param>
    /// <param name="code">The orchestrator.</param>
    /// <param name="converter">Turns inputs and outputs into text and back.</param>
    /// <param name="loggers">Where the orchestrator's replay-safe loggers write to.</param>
    /// <param name="onForeignContinuation">Called, from any thread and possibly after the replay has ended, when the
    /// orchestrator turns out to have awaited something that is not durable.</param>
    public static ReplayResult Run(
        Instance instance,
        IReadOnlyList<HistoryEvent> history,
        Orchestrator code,
        DataConverter converter,
        ILoggerFactory loggers,
        Action onForeignContinuation)
    {
        var sawForeignContinuation = false;
        var thread = new OrchestratorThread(() =>
        {
            sawForeignContinuation = true;
            onForeignContinuation();
        });
        var context = new ReplayContext(instance, thread, converter, loggers);
        Task<object?>? running = null;
        try
        {
            var lastEpisode = history.Index().Last(entry => entry.Item is EpisodeStarted).Index;
            foreach (var (index, happened) in history.Index())
            {
                context.SetReplaying(index < lastEpisode);
                switch (happened)
                {
                    case EpisodeStarted episode:
                        context.ExpectNoCallBeyondHistory();
                        if (running is { IsCompleted: true })
                            throw context.NonDeterministic("The code has come to its end where the history goes on");
                        context.SetTime(episode.Time);
                        break;
                    case ExecutionStarted started:
                        context.SetInput(started.Input);
                        thread.Run(() => running = code(context));
                        break;
                    case EventRaised raised:
                        thread.Run(() => context.Raise(raised));
                        break;
                    case Call call:
                        context.ExpectCall(call);
                        break;
                    case Outcome outcome:
                        thread.Run(() => context.Settle(outcome));
                        break;
                }
            }
            if (sawForeignContinuation || (running is { IsCompleted: false } && !context.AwaitsSomething))
                throw context.NonDeterministic(AwaitsForeignTask);
        }
        catch (Exception broken) // non-determinism, or what an async void method let escape
        {
            return new([], new Failed(TaskFailureDetails.FromException(broken)), false, null);
        }
        return new(context.NewCalls, EndingOf(running, context, converter), context.HasCustomStatus, context.CustomStatus);
    }

    public const string AwaitsForeignTask =
        "The code awaits a task that did not come from its TaskOrchestrationContext (a delay, I/O, Task.Run, ConfigureAwait(false)). "
        + "Move that work into an activity, or use the context's timers and events";

    private static Ending? EndingOf(Task<object?>? running, ReplayContext context, DataConverter converter)
    {
        if (running is not { IsCompleted: true })
            return null;
        if (!running.IsCompletedSuccessfully)
            return new Failed(TaskFailureDetails.FromException(
                running.Exception?.InnerException ?? new TaskCanceledException("The orchestrator was cancelled.")));
        if (context.NextGeneration is { } next)
            return next;
        try
        {
            return new Succeeded(converter.Serialize(running.Result));
        }
        catch (Exception unserializable)
        {
            return new Failed(TaskFailureDetails.FromException(unserializable));
        }
    }
}
