using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>Tells whoever a run's request names that it has ended: begins it, does it in one attempt, and notes what came of all of them.</summary>
public sealed class SendNotice(RunNotices notices, RunRequests requests, RunEvents events)
{
    [Function(FunctionNames.BeginNotice)]
    public static Task Begin([ActivityTrigger] RunNotice notice, [DurableClient] DurableTaskClient client, CancellationToken cancellation)
    {
        return RunNotices.BeginAsync(client, notice, cancellation);
    }

    /// <returns>Whether there was anything to tell.</returns>
    [Function(FunctionNames.SendNotice)]
    public Task<bool> Run([ActivityTrigger] RunNotice notice, CancellationToken cancellation)
    {
        return notices.SendAsync(notice, cancellation);
    }

    [Function(FunctionNames.NoteNotice)]
    public async Task Note([ActivityTrigger] NotedNotice noted, CancellationToken cancellation)
    {
        var (notice, fault) = noted;
        if (await requests.FindAsync(notice.RunId, cancellation) is null) return; // it was deleted, and leaves nothing behind
        string what = RunNotices.TypeOf(notice.End);
        await events.AddAsync(
            notice.RunId, fault is null ? RunEventKind.Notified : RunEventKind.NotNotified, fault is null ? what : $"{what}: {fault}", cancellation);
    }
}
