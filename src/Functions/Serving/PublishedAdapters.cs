using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Serving;

/// <summary>
/// Which adapter serves: adapters/latest.json with the changes that led there, in the order of the storage's clock. The newest one
/// decides, whichever is written last; a publication that is delivered late or again takes its old place and moves nothing.
/// </summary>
public sealed class PublishedAdapters(RunRequests requests, HumanJudgement judgement, ArtifactStore artifacts, BlobFiles blobs)
{
    private const int KeptChanges = 100;

    /// <summary>The adapter that serves, or null when none does yet.</summary>
    public Task<LatestAdapter?> FindLatestAsync(CancellationToken cancellation)
    {
        return blobs.ReadJsonAsync<LatestAdapter>(BlobPaths.LatestAdapter, cancellation);
    }

    /// <summary>Lets a finished run's adapter serve, unless one that came later does.</summary>
    public async Task<LatestAdapter> PublishAsync(RunOutcome outcome, CancellationToken cancellation)
    {
        var publication = new AdapterChange(outcome.RunId, outcome.PublishedAt, AdapterChangeKind.Published);
        var latest = await blobs.ChangeJsonAsync<LatestAdapter>(BlobPaths.LatestAdapter, current => Task.FromResult<LatestAdapter?>(Add(current)), cancellation);
        return latest!;

        LatestAdapter Add(LatestAdapter? current)
        {
            var known = HistoryOf(current);
            if (current is not null && known.Contains(publication)) return current;
            AdapterChange[] history = [.. known.Append(publication).OrderBy(change => change.At).ThenBy(change => change.RunId, StringComparer.Ordinal).TakeLast(KeptChanges)];
            if (current is null || history[^1] == publication)
                return new LatestAdapter(outcome.RunId, outcome.Prepared, outcome.Checkpoint, outcome.PublishedAt) { History = history };
            return history.Contains(publication) ? current with { History = history } : current;
        }
    }

    /// <summary>Lets the adapter of any finished run serve.</summary>
    /// <param name="runId">The run.</param>
    /// <param name="campaignId">The campaign in which people preferred it, where the run asks for that.</param>
    /// <param name="cancellation">Stops before the change.</param>
    /// <exception cref="InvalidInputException">The run has not finished, or people have not preferred its adapter to what serves.</exception>
    public async Task<LatestAdapter> PromoteAsync(string runId, string? campaignId, CancellationToken cancellation)
    {
        if (await artifacts.FindAsync<RunOutcome>(BlobPaths.Run(runId), cancellation) is not { Result: var outcome })
            throw new InvalidInputException($"Run {runId} has published no adapter that could serve. Wait until its status is Completed.");
        var request = await requests.GetAsync(runId, cancellation);
        var latest = await blobs.ChangeJsonAsync<LatestAdapter>(
            BlobPaths.LatestAdapter,
            async current =>
            {
                if (current?.RunId == runId) return current;
                string? said = await judgement.RequireAsync(request, current?.RunId, campaignId, cancellation);
                return Serve(outcome, current, new AdapterChange(runId, await NextTimeAsync(current, cancellation), AdapterChangeKind.Promoted) { Reason = said });
            },
            cancellation);
        return latest!;
    }

    /// <summary>Lets the adapter serve that served well before.</summary>
    /// <param name="taken">The run whose adapter is taken back; where another one serves by now, nothing happens.</param>
    /// <param name="reason">Why; stands in the history.</param>
    /// <param name="cancellation">Stops before the change.</param>
    /// <returns>What serves now.</returns>
    /// <exception cref="InvalidInputException">No adapter served before this one, or none that is whole.</exception>
    public async Task<LatestAdapter> RollBackAsync(string taken, string reason, CancellationToken cancellation)
    {
        var latest = await blobs.ChangeJsonAsync<LatestAdapter>(
            BlobPaths.LatestAdapter,
            async current =>
            {
                if (current?.RunId != taken) return current;
                foreach (string runId in ServedWell(HistoryOf(current)).Where(runId => runId != taken))
                {
                    if (await FindWholeAsync(runId, cancellation) is not { } outcome) continue;
                    var change = new AdapterChange(runId, await NextTimeAsync(current, cancellation), AdapterChangeKind.RolledBack) { TakenBack = taken, Reason = reason };
                    return Serve(outcome, current, change);
                }

                throw new InvalidInputException($"No adapter served before that of run {taken}, or none that is whole: it goes on serving. Let that of another run serve.");
            },
            cancellation);
        return latest ?? throw new InvalidInputException("No adapter serves yet.");
    }

    /// <summary>The adapters of all finished runs, the newest run first. What cannot be read is named, and keeps no other from being listed.</summary>
    public async Task<AdapterList> ListAsync(CancellationToken cancellation)
    {
        var damaged = new List<string>();
        var latest = await ReadAsync(() => FindLatestAsync(cancellation));
        var adapters = new List<AdapterListItem>();
        foreach (var (id, _) in await requests.ListAsync(cancellation))
        {
            if (await ReadAsync(() => artifacts.FindAsync<RunOutcome>(BlobPaths.Run(id), cancellation)) is not { Result: var outcome }) continue;
            string path = BlobPaths.Published(id, RunFiles.AdapterFolder);
            adapters.Add(new AdapterListItem(id, path, outcome.LabelBefore, outcome.LabelAfter, outcome.Published));
        }

        return new AdapterList(latest?.RunId, adapters) { Damaged = damaged.Count == 0 ? null : damaged };

        async Task<T?> ReadAsync<T>(Func<Task<T?>> read)
            where T : class
        {
            try
            {
                return await read();
            }
            catch (CorruptArtifactException e)
            {
                damaged.Add(e.Message);
                return null;
            }
        }
    }

    private static LatestAdapter Serve(RunOutcome outcome, LatestAdapter? current, AdapterChange change)
    {
        return new LatestAdapter(outcome.RunId, outcome.Prepared, outcome.Checkpoint, change.At)
        {
            History = [.. HistoryOf(current).Append(change).TakeLast(KeptChanges)],
        };
    }

    private static IReadOnlyList<AdapterChange> HistoryOf(LatestAdapter? latest)
    {
        if (latest is null) return [];
        return latest.History.Count > 0 ? latest.History : [new AdapterChange(latest.RunId, latest.PublishedAt, AdapterChangeKind.Published)];
    }

    /// <summary>The runs whose adapters served and were not taken back since, the last first.</summary>
    private static List<string> ServedWell(IEnumerable<AdapterChange> history)
    {
        var well = new List<string>();
        foreach (var change in history)
        {
            well.RemoveAll(runId => runId == change.TakenBack || runId == change.RunId);
            well.Insert(0, change.RunId);
        }

        return well;
    }

    /// <summary>The run's outcome, if its adapter could serve: its manifest and its last checkpoint are there.</summary>
    private async Task<RunOutcome?> FindWholeAsync(string runId, CancellationToken cancellation)
    {
        try
        {
            var finished = await artifacts.FindAsync<RunOutcome>(BlobPaths.Run(runId), cancellation);
            return finished is not null && await artifacts.IsThereAsync(BlobPaths.Checkpoint(runId, finished.Result.Checkpoint), cancellation) ? finished.Result : null;
        }
        catch (CorruptArtifactException)
        {
            return null;
        }
    }

    /// <summary>Now, and after the last change: the storage's clock counts whole seconds.</summary>
    private async Task<DateTimeOffset> NextTimeAsync(LatestAdapter? current, CancellationToken cancellation)
    {
        var now = await blobs.ReadClockAsync(cancellation);
        return current is not null && now <= current.PublishedAt ? current.PublishedAt.AddMilliseconds(1) : now;
    }
}
