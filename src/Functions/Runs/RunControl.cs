using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.DurableTask;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Serving;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Runs;

/// <summary>Why something cannot be done to a run.</summary>
/// <param name="Why">In a sentence.</param>
/// <param name="IsFull">It could be, were there not too many runs that have not ended.</param>
public sealed record Refusal(string Why, bool IsFull = false);

/// <summary>
/// What can be done to a run that is there. Each answers why it cannot be done, or null when it is; doing it again does no harm.
/// </summary>
public sealed class RunControl(
    RunRecords runs, RunRequests requests, Checkpoints checkpoints, RunEvents events, RunCancellation cancellations, PublishedAdapters adapters, BlobFiles blobs,
    TimeProvider time)
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LookAgain = TimeSpan.FromMilliseconds(500);

    /// <summary>Lets a run pause: what it has begun ends, and nothing more begins.</summary>
    public async Task<Refusal?> SuspendAsync(DurableTaskClient engine, string runId, string? reason, CancellationToken cancellation)
    {
        var status = await FindStatusAsync(engine, runId, cancellation);
        if (status is OrchestrationRuntimeStatus.Suspended) return null;
        if (status is not (OrchestrationRuntimeStatus.Pending or OrchestrationRuntimeStatus.Running)) return Refuse(status, "Only a run that is under way can be suspended.");
        await engine.SuspendInstanceAsync(runId, reason, cancellation);
        await events.AddAsync(runId, RunEventKind.Suspended, reason, cancellation);
        return null;
    }

    /// <summary>Lets a suspended run go on, and one that has failed or was cancelled from its last whole checkpoint.</summary>
    public async Task<Refusal?> ResumeAsync(DurableTaskClient engine, string runId, string? reason, CancellationToken cancellation)
    {
        var instance = await engine.GetInstanceAsync(runId, getInputsAndOutputs: true, cancellation);
        if (IsUnderWay(instance?.RuntimeStatus) && await cancellations.IsMarkedAsync(runId, cancellation))
            return new Refusal("It is being cancelled. Ask again when its status is Terminated.");
        switch (instance?.RuntimeStatus)
        {
            case OrchestrationRuntimeStatus.Suspended:
                await engine.ResumeInstanceAsync(runId, reason, cancellation);
                await events.AddAsync(runId, RunEventKind.Resumed, reason, cancellation);
                return null;
            case OrchestrationRuntimeStatus.Pending or OrchestrationRuntimeStatus.Running:
                return null;
        }

        if (await runs.FindFinishedAsync(runId, cancellation) is not null) return new Refusal("It has finished: there is nothing left to do. Start another run.");
        if (await runs.IsFullAsync(engine, cancellation)) return new Refusal("Too many runs have not ended.", IsFull: true);
        await cancellations.UnmarkAsync(runId, cancellation);
        var progress = instance?.ReadCustomStatusAs<RunProgress>();
        var last = instance?.ReadInputAs<RlhfRunState>() ?? await runs.FirstStateAsync(await requests.GetAsync(runId, cancellation), cancellation);
        var state = last with
        {
            // Where the engine knows nothing any more, what is kept tells how far it came.
            Step = progress?.Step ?? (await checkpoints.ListAsync(runId, cancellation)).Select(kept => kept.Step).DefaultIfEmpty().Max(),
            // Its input is that of its last generation, some steps ago.
            Usage = progress?.Usage ?? last.Usage,
            Timings = progress?.Timings ?? last.Timings,
            Prepared = null,
            Retreats = 0,
            IsRestarted = true,
            Progress = progress,
        };
        await events.AddAsync(runId, RunEventKind.Restarted, reason, cancellation);
        await engine.ScheduleNewOrchestrationInstanceAsync(FunctionNames.RlhfRun, state, new StartOrchestrationOptions(runId), cancellation);
        return null;
    }

    /// <summary>Ends a run; its activities stop within a batch. What it has made is kept, and it can be resumed.</summary>
    public async Task<Refusal?> CancelAsync(DurableTaskClient engine, string runId, string? reason, CancellationToken cancellation)
    {
        var instance = await engine.GetInstanceAsync(runId, getInputsAndOutputs: false, cancellation);
        if (instance?.RuntimeStatus is OrchestrationRuntimeStatus.Terminated)
        {
            await TellAsync(engine, instance, reason, cancellation); // whoever asked before may have come no further
            return null;
        }

        if (!IsUnderWay(instance?.RuntimeStatus)) return Refuse(instance?.RuntimeStatus, "Only a run that is under way or suspended can be cancelled.");
        await cancellations.MarkAsync(runId, cancellation);
        await engine.TerminateInstanceAsync(runId, reason ?? "It was cancelled.", cancellation);
        await events.AddAsync(runId, RunEventKind.Cancelled, reason, cancellation);
        await TellAsync(engine, instance!, reason, cancellation);
        return null;
    }

    /// <summary>A run that is cancelled cannot tell of its end itself. Of two who cancel it at once, one tells.</summary>
    private async Task TellAsync(DurableTaskClient engine, OrchestrationMetadata run, string? reason, CancellationToken cancellation)
    {
        if (await requests.FindAsync(run.InstanceId, cancellation) is not { Notify: not null }) return;
        byte[] identity = Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{run.InstanceId} cancelled {run.CreatedAt:O}"));
        var notice = new RunNotice(Convert.ToHexStringLower(SHA256.HashData(identity))[..32], run.InstanceId, RunEnd.Cancelled, time.GetUtcNow(), reason);
        await RunNotices.BeginAsync(engine, notice, cancellation);
    }

    /// <summary>Cancels a run and deletes all there is of it.</summary>
    public async Task<Refusal?> DeleteAsync(DurableTaskClient engine, string runId, CancellationToken cancellation)
    {
        if ((await adapters.FindLatestAsync(cancellation))?.RunId == runId)
            return new Refusal("Its adapter serves. Let that of another run serve first: POST /api/adapters/{runId}/promote.");
        await cancellations.MarkAsync(runId, cancellation);
        if (IsUnderWay(await FindStatusAsync(engine, runId, cancellation))) await engine.TerminateInstanceAsync(runId, "It was deleted.", cancellation);
        for (; IsUnderWay(await FindStatusAsync(engine, runId, cancellation)); await Task.Delay(LookEvery, cancellation)) { }
        await engine.PurgeInstanceAsync(runId, cancellation: cancellation);

        // The request goes late, for while it is there this can be asked again; and then the mark, so that what still computes finds one
        // of the two. What was being written when the mark was set is there at the next look.
        string[] last = [BlobPaths.Request(runId), BlobPaths.CancelMark(runId)];
        for (int deleted = -1; deleted != 0; await Task.Delay(LookAgain, cancellation))
        {
            var left = (await blobs.ListAsync(BlobPaths.Run(runId) + "/", cancellation)).Select(blob => blob.Path).Except(last).ToList();
            // Manifests first: an artefact is whole or not there.
            foreach (string path in left.OrderBy(path => !path.EndsWith("/manifest.json", StringComparison.Ordinal))) await blobs.DeleteAsync(path, cancellation);
            deleted = left.Count;
        }

        foreach (string path in last) await blobs.DeleteAsync(path, cancellation);
        return null;
    }

    private static async Task<OrchestrationRuntimeStatus?> FindStatusAsync(DurableTaskClient engine, string runId, CancellationToken cancellation)
    {
        return (await engine.GetInstanceAsync(runId, getInputsAndOutputs: false, cancellation))?.RuntimeStatus;
    }

    private static bool IsUnderWay(OrchestrationRuntimeStatus? status)
    {
        return status is OrchestrationRuntimeStatus.Pending or OrchestrationRuntimeStatus.Running or OrchestrationRuntimeStatus.Suspended;
    }

    private static Refusal Refuse(OrchestrationRuntimeStatus? status, string rule)
    {
        return new Refusal($"It is {(status is null ? "not started" : status.ToString()!.ToLowerInvariant())}. {rule}");
    }
}
