using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>Whatever dies and whenever: the same seed ends in the same adapter, byte for byte.</summary>
public sealed class KillTests(KillTests.UndisturbedRun undisturbed, ITestOutputHelper output) : IClassFixture<KillTests.UndisturbedRun>
{
    private const int Steps = 8;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_run_whose_host_is_killed_twice_ends_in_the_same_adapter(bool andAzurite)
    {
        using var app = new LocalApp();
        var request = TinyRun.Request("killed", Steps);
        await app.StartAsync();
        using (await app.PostRunAsync(request)) { }

        foreach (int step in new[] { 1, 4 })
        {
            await app.WaitAsync("killed", view => view.Progress?.Step >= step, Patience);
            int wait = Random.Shared.Next(1000);
            output.WriteLine($"kill -9 {wait} ms after step {step}");
            await Task.Delay(wait);
            app.Kill(andAzurite);
            await app.StartAsync();
            // Azurite saves its books every few seconds: killed right after the request, it may have forgotten the run, and a
            // client that gets no answer asks again.
            if (await app.FindRunAsync("killed") is not { Status: not "NotStarted" })
            {
                using var again = await app.PostRunAsync(request);
            }
        }

        await app.WaitAsync("killed", view => view.Status == "Completed", Patience);
        Assert.Equal(undisturbed.Adapter, await app.ReadBlobAsync(BlobPaths.Published("killed", RunFiles.AdapterWeights)));
    }

    [Fact]
    public void Another_seed_ends_in_another_adapter()
    {
        Assert.NotEqual(undisturbed.Adapter, undisturbed.AdapterOfAnotherSeed);
    }

    /// <summary>What the killed runs are compared with, made in a host of its own.</summary>
    public sealed class UndisturbedRun : IAsyncLifetime
    {
        public byte[] Adapter { get; private set; } = [];

        public byte[] AdapterOfAnotherSeed { get; private set; } = [];

        public async ValueTask InitializeAsync()
        {
            using var app = new LocalApp();
            await app.StartAsync();
            using (await app.PostRunAsync(TinyRun.Request("undisturbed", Steps))) { }
            using (await app.PostRunAsync(TinyRun.Request("other", steps: 1, seed: 6))) { }
            await app.WaitAsync("undisturbed", view => view.Status == "Completed", Patience);
            await app.WaitAsync("other", view => view.Status == "Completed", Patience);
            Adapter = await app.ReadBlobAsync(BlobPaths.Published("undisturbed", RunFiles.AdapterWeights));
            AdapterOfAnotherSeed = await app.ReadBlobAsync(BlobPaths.Published("other", RunFiles.AdapterWeights));
        }

        public ValueTask DisposeAsync()
        {
            return ValueTask.CompletedTask;
        }
    }
}
