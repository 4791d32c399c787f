using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Runs;

/// <summary>What a run has begun stops when the run is cancelled or deleted, and goes on otherwise.</summary>
public sealed class RunCancellationTests(AzuriteFixture azurite)
{
    private readonly BlobFiles _blobs = new(azurite.Blobs);
    private readonly string _id = $"c-{Guid.NewGuid():n}";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Work_under_way_is_stopped_within_seconds(bool isDeleted)
    {
        var cancellations = await RecordAsync();
        var begun = new TaskCompletionSource();
        var work = cancellations.WatchAsync(_id, WaitAsync, Stop);
        await begun.Task;
        if (isDeleted) await _blobs.DeleteAsync(BlobPaths.Request(_id), Stop);
        else await cancellations.MarkAsync(_id, Stop);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => work.WaitAsync(TimeSpan.FromSeconds(20), Stop));

        async Task<int> WaitAsync(CancellationToken cancellation)
        {
            begun.SetResult();
            await Task.Delay(Timeout.Infinite, cancellation);
            return 0;
        }
    }

    [Fact]
    public async Task Nothing_begins_of_a_cancelled_run_until_it_is_resumed()
    {
        var cancellations = await RecordAsync();
        await cancellations.MarkAsync(_id, Stop);
        await Assert.ThrowsAsync<OperationCanceledException>(() => cancellations.WatchAsync(_id, _ => Task.FromResult(1), Stop));
        await cancellations.UnmarkAsync(_id, Stop);
        Assert.Equal(1, await cancellations.WatchAsync(_id, _ => Task.FromResult(1), Stop));
    }

    private async Task<RunCancellation> RecordAsync()
    {
        await _blobs.ReplaceAsync(BlobPaths.Request(_id), BinaryData.FromString("{}"), Stop);
        return new RunCancellation(_blobs);
    }
}
