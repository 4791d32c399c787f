using System.Text.Json.Nodes;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Hosting;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Runs;

/// <summary>What came of starting a run.</summary>
public enum StartResult
{
    /// <summary>It is under way, or was already.</summary>
    Started,

    /// <summary>Another request has this id.</summary>
    IdTaken,

    /// <summary>As many runs as are allowed have not ended.</summary>
    TooMany,
}

/// <summary>
/// The one truth of a run, put together from the three that know of it: its request (that there is such a run, and since when), what
/// it has published (that it is finished), and the engine (how it fares). The first two outlive the third.
/// </summary>
public sealed class RunRecords(RunRequests requests, ArtifactStore artifacts, StepMetrics metrics, Limits limits)
{
    /// <summary>What a run is called of which only the request is there.</summary>
    private const string NotStarted = nameof(NotStarted);

    /// <summary>Records a run and starts it. The same request again is the same run.</summary>
    public async Task<StartResult> StartAsync(DurableTaskClient engine, RunRequest request, CancellationToken cancellation)
    {
        if (!await ExistsAsync(request.RunId!, cancellation) && await IsFullAsync(engine, cancellation)) return StartResult.TooMany;
        if (!await requests.TryRecordAsync(request, cancellation)) return StartResult.IdTaken;
        var sources = new ModelSources(
            request.Model.Source, [.. request.Reward.Classifiers.Select(term => term.Source)], request.Evaluation.Judge, request.Model.Precision);
        var state = new RlhfRunState
        {
            RunId = request.RunId!,
            Sources = sources,
            Steps = request.Ppo.Steps,
            Shards = request.Compute.RolloutShards,
        };
        await engine.StartOnceAsync(FunctionNames.RlhfRun, request.RunId!, state, cancellation);
        return StartResult.Started;
    }

    /// <summary>The run's view, or null when there is no such run.</summary>
    public async Task<RunView?> FindAsync(DurableTaskClient engine, string runId, CancellationToken cancellation)
    {
        if (await requests.FindAsync(runId, cancellation) is not { } request) return null;
        var instance = await engine.GetInstanceAsync(runId, getInputsAndOutputs: true, cancellation);
        var finished = await FindFinishedAsync(runId, cancellation);
        return new RunView
        {
            RunId = runId,
            Status = StatusOf(instance, finished is not null),
            CreatedAt = await requests.FindCreationTimeAsync(runId, cancellation), // the engine's own is that of the last generation
            UpdatedAt = instance?.LastUpdatedAt,
            Progress = instance?.ReadCustomStatusAs<RunProgress>(),
            Outcome = finished?.Result,
            Failure = instance?.ReadFailure(),
            Request = request,
        };
    }

    /// <summary>All runs, the newest first.</summary>
    public async Task<IReadOnlyList<RunListItem>> ListAsync(DurableTaskClient engine, CancellationToken cancellation)
    {
        var runs = new List<RunListItem>();
        foreach (var (id, createdAt) in await requests.ListAsync(cancellation))
        {
            var instance = await engine.GetInstanceAsync(id, getInputsAndOutputs: true, cancellation);
            bool isFinished = instance is null && await FindFinishedAsync(id, cancellation) is not null;
            runs.Add(new RunListItem(id, StatusOf(instance, isFinished), createdAt, instance?.ReadCustomStatusAs<RunProgress>()));
        }

        return runs;
    }

    /// <summary>Whether there is a run of this id.</summary>
    public async Task<bool> ExistsAsync(string runId, CancellationToken cancellation)
    {
        return await requests.FindAsync(runId, cancellation) is not null;
    }

    /// <summary>What a run has published, or null while it has published nothing.</summary>
    public Task<ArtifactManifest<RunOutcome>?> FindFinishedAsync(string runId, CancellationToken cancellation)
    {
        return artifacts.FindAsync<RunOutcome>(BlobPaths.Run(runId), cancellation);
    }

    /// <summary>One object for each step a run has done, also while it learns; null when there is no such run.</summary>
    public async Task<IReadOnlyList<JsonObject>?> FindMetricsAsync(DurableTaskClient engine, string runId, CancellationToken cancellation)
    {
        if (!await ExistsAsync(runId, cancellation)) return null;
        var finished = await FindFinishedAsync(runId, cancellation);
        var instance = finished is null ? await engine.GetInstanceAsync(runId, getInputsAndOutputs: true, cancellation) : null;
        int steps = finished?.Result.Steps ?? instance?.ReadCustomStatusAs<RunProgress>()?.Step ?? 0;
        return await metrics.ReadAsync(runId, steps, cancellation);
    }

    private async Task<bool> IsFullAsync(DurableTaskClient engine, CancellationToken cancellation)
    {
        var unfinished = new OrchestrationQuery
        {
            Statuses = [OrchestrationRuntimeStatus.Pending, OrchestrationRuntimeStatus.Running, OrchestrationRuntimeStatus.Suspended],
        };
        int runs = 0;
        await foreach (var instance in engine.GetAllInstancesAsync(unfinished).WithCancellation(cancellation))
        {
            if (instance.Name == FunctionNames.RlhfRun && ++runs >= limits.UnfinishedRuns) return true;
        }

        return false;
    }

    private static string StatusOf(OrchestrationMetadata? instance, bool isFinished)
    {
        return instance?.RuntimeStatus.ToString() ?? (isFinished ? nameof(OrchestrationRuntimeStatus.Completed) : NotStarted);
    }
}
