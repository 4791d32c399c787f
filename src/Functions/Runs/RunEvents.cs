using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Runs;

/// <summary>What was done to a run and what befell it, in its runs/{id}/events.json; that it began and ended is told elsewhere.</summary>
public sealed class RunEvents(BlobFiles blobs)
{
    private const int Kept = 1000;

    /// <summary>Adds an event. The same one again, as from an activity that is delivered twice, is one.</summary>
    public async Task AddAsync(string runId, RunEventKind kind, string? reason, CancellationToken cancellation)
    {
        var now = await blobs.ReadClockAsync(cancellation);
        await blobs.ChangeJsonAsync<IReadOnlyList<RunEvent>>(
            BlobPaths.Events(runId),
            known => Task.FromResult<IReadOnlyList<RunEvent>?>(
                known?[^1] is { } last && (last.Kind, last.Reason) == (kind, reason) ? known : [.. (known ?? []).TakeLast(Kept - 1), new RunEvent(now, kind, reason)]),
            cancellation);
    }

    /// <summary>All that are kept, the oldest first.</summary>
    public async Task<IReadOnlyList<RunEvent>> ReadAsync(string runId, CancellationToken cancellation)
    {
        return await blobs.ReadJsonAsync<IReadOnlyList<RunEvent>>(BlobPaths.Events(runId), cancellation) ?? [];
    }
}
