using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>Two workers on one hub share a run's activities, the shards of its updates too: the adapter is what one worker makes, byte for byte.</summary>
[Trait("Category", "Slow")]
public sealed class TwoWorkersTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private readonly Dictionary<string, string> _oneAtATime =
        new() { ["AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions"] = "1" };

    [Fact]
    public async Task A_run_that_two_workers_share_ends_in_the_adapter_of_one_also_where_one_is_killed()
    {
        using var one = new LocalApp();
        await one.StartAsync(_oneAtATime);
        await StartRunAsync("alone");
        byte[] alone = await AdapterAsync("alone");

        using var other = new LocalApp();
        _oneAtATime["AzureWebJobsStorage"] = one.ConnectionString;
        await other.StartAsync(_oneAtATime);
        await StartRunAsync("shared");
        Assert.Equal(alone, await AdapterAsync("shared"));
        Assert.NotEmpty(Directory.GetFiles(other.DataFolder, "model.safetensors", SearchOption.AllDirectories)); // it took activities: it has fetched what they need

        await StartRunAsync("bereaved");
        await one.WaitAsync("bereaved", view => view.Progress?.Step >= 1, Patience);
        await other.KillHostAsync();
        Assert.Equal(alone, await AdapterAsync("bereaved"));

        async Task StartRunAsync(string runId)
        {
            var request = TinyRun.Request(runId) with { Compute = new ComputeSettings { RolloutShards = 4, UpdateShards = 3, UpdateThreads = 1 } };
            using var accepted = await one.PostRunAsync(request);
            Assert.True(accepted.IsSuccessStatusCode, await accepted.Content.ReadAsStringAsync());
        }

        async Task<byte[]> AdapterAsync(string runId)
        {
            await one.WaitAsync(runId, view => view.Status == "Completed", Patience);
            return await one.ReadBlobAsync(BlobPaths.Published(runId, RunFiles.AdapterWeights));
        }
    }
}
