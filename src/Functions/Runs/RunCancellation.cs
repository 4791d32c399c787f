using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Runs;

/// <summary>
/// Stops the activities of a run that is cancelled or deleted: the engine ends an orchestration, but nobody tells what it has begun, so
/// that looks by itself.
/// </summary>
public sealed class RunCancellation(BlobFiles blobs)
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    public Task MarkAsync(string runId, CancellationToken cancellation)
    {
        return blobs.ReplaceAsync(BlobPaths.CancelMark(runId), BinaryData.FromString(""), cancellation);
    }

    public async Task<bool> IsMarkedAsync(string runId, CancellationToken cancellation)
    {
        return await blobs.FindLengthAsync(BlobPaths.CancelMark(runId), cancellation) is not null;
    }

    public Task UnmarkAsync(string runId, CancellationToken cancellation)
    {
        return blobs.DeleteAsync(BlobPaths.CancelMark(runId), cancellation);
    }

    /// <summary>Does a run's work until the run is cancelled.</summary>
    /// <param name="runId">The run.</param>
    /// <param name="work">Looks at its token between batches.</param>
    /// <param name="cancellation">Stops the work too.</param>
    /// <exception cref="OperationCanceledException">The run was cancelled, or deleted.</exception>
    public async Task<T> WatchAsync<T>(string runId, Func<CancellationToken, Task<T>> work, CancellationToken cancellation)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using var done = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        await ThrowIfCancelledAsync();
        var watch = Task.Run(() => StopWhenCancelledAsync(runId, stop, done.Token), CancellationToken.None);
        try
        {
            var result = await work(stop.Token);
            await ThrowIfCancelledAsync(); // what came of it is not written then
            return result;
        }
        finally
        {
            await done.CancelAsync();
            await watch;
        }

        async Task ThrowIfCancelledAsync()
        {
            if (await IsCancelledAsync(runId, cancellation)) throw new OperationCanceledException($"Run {runId} was cancelled.");
        }
    }

    private async Task StopWhenCancelledAsync(string runId, CancellationTokenSource stop, CancellationToken done)
    {
        try
        {
            while (!stop.IsCancellationRequested)
            {
                await Task.Delay(LookEvery, done); // it was looked at before the work began
                if (await IsCancelledAsync(runId, done)) await stop.CancelAsync();
            }
        }
        catch (Exception) when (!stop.IsCancellationRequested)
        {
            // Done; or the storage does not answer, which the work itself will find out.
        }
    }

    private async Task<bool> IsCancelledAsync(string runId, CancellationToken cancellation)
    {
        return await IsMarkedAsync(runId, cancellation)
            || await blobs.FindLengthAsync(BlobPaths.Request(runId), cancellation) is null;
    }
}
