using System.Text.Json.Nodes;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Hosting;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Runs;

/// <summary>What an hour of a computing replica costs; null where nobody has said.</summary>
public sealed record PriceSetting(Price? Price);

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
public sealed class RunRecords(
    RunRequests requests, ArtifactStore artifacts, Checkpoints checkpoints, StepMetrics metrics, RunEvents events, Limits limits, PriceSetting prices)
{
    private const int ReadAtOnce = 16;

    /// <summary>What a run is called of which only the request is there.</summary>
    private const string NotStarted = nameof(NotStarted);

    /// <summary>All that a run's status can be.</summary>
    public static IReadOnlyList<string> Statuses { get; } =
    [
        NotStarted, nameof(OrchestrationRuntimeStatus.Pending), nameof(OrchestrationRuntimeStatus.Running), nameof(OrchestrationRuntimeStatus.Suspended),
        nameof(OrchestrationRuntimeStatus.Completed), nameof(OrchestrationRuntimeStatus.Failed), nameof(OrchestrationRuntimeStatus.Terminated),
    ];

    /// <summary>Records a run and starts it. The same request again is the same run.</summary>
    public async Task<StartResult> StartAsync(DurableTaskClient engine, RunRequest request, CancellationToken cancellation)
    {
        if (!await ExistsAsync(request.RunId!, cancellation) && await IsFullAsync(engine, cancellation)) return StartResult.TooMany;
        if (!await requests.TryRecordAsync(request, cancellation)) return StartResult.IdTaken;
        await engine.StartOnceAsync(FunctionNames.RlhfRun, request.RunId!, await FirstStateAsync(request, cancellation), cancellation);
        return StartResult.Started;
    }

    /// <summary>Where a run that is recorded begins.</summary>
    public async Task<RlhfRunState> FirstStateAsync(RunRequest request, CancellationToken cancellation)
    {
        var sources = new ModelSources(
            request.Model.Source, [.. (request.Reward?.Classifiers ?? []).Select(term => term.Source)], request.Evaluation.Judge, request.Model.Precision);
        return new RlhfRunState
        {
            RunId = request.RunId!,
            CreatedAt = await requests.FindCreationTimeAsync(request.RunId!, cancellation),
            Name = request.Name,
            Tags = request.Tags,
            Sources = sources,
            Steps = request.Training.Steps,
            Shards = request.Compute.RolloutShards,
            UpdateShards = request.Compute.UpdateShards,
            LearnsFromPreferences = request.Training is DpoSettings,
            Limits = request.Limits,
            Notifies = request.Notify is not null,
            Price = prices.Price,
        };
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

    /// <summary>Runs, the newest first. The engine is asked once, for all of them; storage is asked of those that it does not know.</summary>
    /// <exception cref="InvalidInputException">There is no run to begin after.</exception>
    public async Task<IReadOnlyList<RunListItem>> ListAsync(DurableTaskClient engine, RunListQuery query, CancellationToken cancellation)
    {
        var known = new Dictionary<string, (OrchestrationMetadata Instance, RlhfRunState? State)>();
        await foreach (var instance in engine.GetAllInstancesAsync(new OrchestrationQuery { FetchInputsAndOutputs = true }).WithCancellation(cancellation))
        {
            if (instance.Name == FunctionNames.RlhfRun) known[instance.InstanceId] = (instance, instance.ReadInputAs<RlhfRunState>());
        }

        var all = await requests.ListAsync(runId => known.GetValueOrDefault(runId).State?.CreatedAt, cancellation);
        int first = query.After is null ? 0 : all.Index().FirstOrDefault(run => run.Item.RunId == query.After, (-1, default)).Index + 1;
        if (query.After is not null && first == 0) throw new InvalidInputException($"after: no run has the id {query.After}. Give the last runId of the page before.");

        var page = new List<RunListItem>();
        foreach (var some in all.Skip(first).Chunk(ReadAtOnce))
        {
            var items = await Task.WhenAll(some.Select(run => known.GetValueOrDefault(run.RunId) is { State.CreatedAt: not null } there
                ? Task.FromResult(ItemOf(run.RunId, run.CreatedAt, there.Instance, isFinished: false, there.State.Name, there.State.Tags))
                : ReadItemAsync(run.RunId, run.CreatedAt, known.GetValueOrDefault(run.RunId).Instance, cancellation)));
            page.AddRange(items.Where(item => (query.Status ?? item.Status) == item.Status && (query.Tag is null || item.Tags?.Contains(query.Tag) == true)));
            if (page.Count >= query.Limit) break;
        }

        return [.. page.Take(query.Limit)];
    }

    private async Task<RunListItem> ReadItemAsync(string runId, DateTimeOffset createdAt, OrchestrationMetadata? instance, CancellationToken cancellation)
    {
        bool isFinished = false;
        RunRequest? request = null;
        try
        {
            request = await requests.FindAsync(runId, cancellation);
            isFinished = instance is null && await FindFinishedAsync(runId, cancellation) is not null;
        }
        catch (CorruptArtifactException)
        {
            // What is damaged keeps no run from being listed; who asks for the run itself is told.
        }

        return ItemOf(runId, createdAt, instance, isFinished, request?.Name, request?.Tags);
    }

    private static RunListItem ItemOf(
        string runId, DateTimeOffset createdAt, OrchestrationMetadata? instance, bool isFinished, string? name, IReadOnlyList<string>? tags)
    {
        return new RunListItem(runId, StatusOf(instance, isFinished), createdAt, instance?.ReadCustomStatusAs<RunProgress>()) { Name = name, Tags = tags };
    }

    /// <summary>What happened to a run, the oldest first, or null when there is no such run.</summary>
    public async Task<IReadOnlyList<RunEvent>?> FindEventsAsync(DurableTaskClient engine, string runId, CancellationToken cancellation)
    {
        if (await FindAsync(engine, runId, cancellation) is not { } run) return null;
        var kept = await events.ReadAsync(runId, cancellation);
        int told = kept.Reverse().TakeWhile(last => last.Kind is RunEventKind.Notified or RunEventKind.NotNotified).Count(); // after its end
        var all = new List<RunEvent> { new(run.CreatedAt!.Value, RunEventKind.Created, null) };
        all.AddRange(kept.SkipLast(told));
        if (run.Outcome is { } outcome) all.Add(new(outcome.PublishedAt, RunEventKind.Finished, outcome.WhyStopped));
        else if (run.Status == nameof(OrchestrationRuntimeStatus.Failed)) all.Add(new(run.UpdatedAt!.Value, RunEventKind.Failed, run.Failure));
        all.AddRange(kept.TakeLast(told));
        return all;
    }

    /// <summary>The states of a run that are kept, the first first, or null when there is no such run.</summary>
    public async Task<IReadOnlyList<RunCheckpoint>?> FindCheckpointsAsync(string runId, CancellationToken cancellation)
    {
        return await ExistsAsync(runId, cancellation) ? await checkpoints.ListAsync(runId, cancellation) : null;
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
    /// <param name="engine">Knows how many there are.</param>
    /// <param name="runId">The run.</param>
    /// <param name="cancellation">Stops between steps.</param>
    /// <param name="from">The first step.</param>
    /// <param name="limit">How many at most.</param>
    public async Task<IReadOnlyList<JsonObject>?> FindMetricsAsync(
        DurableTaskClient engine, string runId, CancellationToken cancellation, int from = 0, int limit = int.MaxValue)
    {
        if (!await ExistsAsync(runId, cancellation)) return null;
        var finished = await FindFinishedAsync(runId, cancellation);
        var instance = finished is null ? await engine.GetInstanceAsync(runId, getInputsAndOutputs: true, cancellation) : null;
        int steps = finished?.Result.Steps ?? instance?.ReadCustomStatusAs<RunProgress>()?.Step ?? 0;
        int first = Math.Min(from, steps);
        return await metrics.ReadAsync(runId, first..(first + Math.Min(limit, steps - first)), cancellation);
    }

    /// <summary>Whether as many runs as are allowed have not ended.</summary>
    public async Task<bool> IsFullAsync(DurableTaskClient engine, CancellationToken cancellation)
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
