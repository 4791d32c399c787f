using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Orchestration;

/// <summary>Tells whoever a run's request names that it has ended. The run knows nothing of it: what goes wrong here is an event of the run, no more.</summary>
public static class Notification
{
    /// <returns>Whether they took it.</returns>
    [Function(FunctionNames.Notification)]
    public static async Task<bool> Run([OrchestrationTrigger] TaskOrchestrationContext context, RunNotice notice)
    {
        string? fault = null;
        try
        {
            if (!await context.CallActivityAsync<bool>(FunctionNames.SendNotice, notice, ActivityRetries.OfNotices)) return false;
        }
        catch (TaskFailedException e)
        {
            fault = e.FailureDetails.ErrorMessage;
        }

        await context.CallActivityAsync(FunctionNames.NoteNotice, new NotedNotice(notice, fault), ActivityRetries.Default);
        return fault is null;
    }
}
