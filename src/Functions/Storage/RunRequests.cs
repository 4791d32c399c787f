using RlhfFunctions.Contracts;

namespace RlhfFunctions.Storage;

/// <summary>The requests of all runs. A run is its runs/{id}/request.json; Durable only supplies its liveness.</summary>
public sealed class RunRequests(BlobFiles blobs)
{
    private const int ReadAtOnce = 16;

    /// <summary>Records the request of a new run, or finds the one recorded; the same id may not stand for two requests.</summary>
    /// <returns>False when another request has this id.</returns>
    public Task<bool> TryRecordAsync(RunRequest request, CancellationToken cancellation)
    {
        return blobs.TryRecordAsync(BlobPaths.Request(IdOf(request)), request, cancellation);
    }

    /// <summary>The request of a run, or null when there is no such run.</summary>
    public Task<RunRequest?> FindAsync(string runId, CancellationToken cancellation)
    {
        return RunId.IsValid(runId)
            ? blobs.ReadJsonAsync<RunRequest>(BlobPaths.Request(runId), cancellation)
            : Task.FromResult<RunRequest?>(null);
    }

    /// <summary>The request of a run that must be there.</summary>
    public async Task<RunRequest> GetAsync(string runId, CancellationToken cancellation)
    {
        return await FindAsync(runId, cancellation) ?? throw new CorruptArtifactException(BlobPaths.Request(runId), "is missing");
    }

    /// <summary>When a run was asked for, or null when there is no such run.</summary>
    public Task<DateTimeOffset?> FindCreationTimeAsync(string runId, CancellationToken cancellation)
    {
        return blobs.FindCreationTimeAsync(BlobPaths.Request(runId), cancellation);
    }

    /// <summary>Every run and when it was asked for, the newest first.</summary>
    public Task<IReadOnlyList<(string RunId, DateTimeOffset CreatedAt)>> ListAsync(CancellationToken cancellation)
    {
        return ListAsync(_ => null, cancellation);
    }

    /// <summary>The same, in one read for five thousand runs of which it is known when.</summary>
    /// <param name="known">When a run was asked for; null: its request is looked at.</param>
    /// <param name="cancellation">Stops between reads.</param>
    public async Task<IReadOnlyList<(string RunId, DateTimeOffset CreatedAt)>> ListAsync(Func<string, DateTimeOffset?> known, CancellationToken cancellation)
    {
        var runs = new List<(string RunId, DateTimeOffset CreatedAt)>();
        foreach (string[] some in (await blobs.ListFoldersAsync(BlobPaths.Runs, cancellation)).Chunk(ReadAtOnce))
        {
            var times = await Task.WhenAll(some.Select(async runId => known(runId) ?? await FindCreationTimeAsync(runId, cancellation)));
            runs.AddRange(some.Zip(times).Where(run => run.Second is not null).Select(run => (run.First, run.Second!.Value)));
        }

        // The storage's clock counts whole seconds: of two in the same one, the name decides.
        return [.. runs.OrderByDescending(run => run.CreatedAt).ThenByDescending(run => run.RunId, StringComparer.Ordinal)];
    }

    private static string IdOf(RunRequest request)
    {
        return request.RunId ?? throw new ArgumentException("A run is recorded under its id; this request has none.", nameof(request));
    }
}
