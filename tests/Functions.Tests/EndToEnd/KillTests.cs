using RlhfFunctions.Contracts;
using RlhfFunctions.LocalHost.Cli;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>Whatever process of the host's dies and whenever: the same seed ends in the same adapter and the same metrics, byte for byte.</summary>
public sealed class KillTests(ITestOutputHelper output)
{
    private const int Kills = 3; // the soak does two hundred
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    /// <summary>Seconds on a quiet machine. It must be told from the five minutes after which the engine asks for itself.</summary>
    private static readonly TimeSpan TakenUpWithin = TimeSpan.FromMinutes(2);

    [Theory]
    [InlineData("worker")]
    [InlineData("host and worker")]
    public Task A_run_that_is_killed_again_and_again_ends_in_the_same_bytes(string victim)
    {
        return KillAsync(victim);
    }

    [Fact]
    [Trait("Category", "Slow")]
    public Task So_does_one_whose_host_alone_is_killed()
    {
        return KillAsync("host");
    }

    [Fact]
    [Trait("Category", "Slow")]
    public async Task Two_hundred_kills_lose_nothing()
    {
        using var app = new LocalApp();
        using var soak = HostProcess.Start(["soak", "--kills", "200", .. app.HostArguments]);
        int exit = await soak.WaitAsync(TimeSpan.FromHours(2));
        output.WriteLine(soak.Output);
        Assert.True(exit == 0, soak.Error);
    }

    private async Task KillAsync(string victim)
    {
        using var app = new LocalApp();
        await app.StartAsync();
        using (await app.PostRunAsync(TinyRun.Request("killed", UndisturbedRun.Steps))) { }

        int step = 0;
        for (int kill = 1; kill <= Kills; kill++)
        {
            var seen = await app.WaitAsync("killed", view => view.Progress?.Step >= step, Patience);
            step = seen.Progress!.Step;
            int wait = Random.Shared.Next(700);
            output.WriteLine($"{victim}: kill -9 {wait} ms after step {step}");
            await Task.Delay(wait);
            if (victim.Contains("worker", StringComparison.Ordinal)) app.KillWorker();
            if (victim.Contains("host", StringComparison.Ordinal))
            {
                await app.KillHostAsync();
                await app.StartAsync();
            }

            step = Math.Min(step + 2, UndisturbedRun.Steps);
            var restartedAt = DateTime.UtcNow;
            await app.WaitAsync("killed", view => view.Progress?.Step > seen.Progress.Step || view.Status == "Completed", Patience);
            Assert.InRange(DateTime.UtcNow - restartedAt, TimeSpan.Zero, TakenUpWithin);
        }

        await UndisturbedRun.AssertSameAsync(app, "killed");
    }

    [Fact]
    public async Task Another_seed_ends_in_another_adapter()
    {
        Assert.NotEqual((await UndisturbedRun.GetAsync()).Adapter, (await UndisturbedRun.GetAsync()).AdapterOfAnotherSeed);
    }
}

/// <summary>The same where it is the storage that dies.</summary>
public sealed class AzuriteKillTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    [Fact]
    public Task A_run_whose_Azurite_is_stopped_goes_on_by_itself()
    {
        return EndAzuriteAsync(kill: false);
    }

    [Fact]
    [Trait("Category", "Slow")]
    public Task A_run_whose_Azurite_is_killed_goes_on_by_itself_where_it_forgot_what_it_had_acknowledged()
    {
        return EndAzuriteAsync(kill: true);
    }

    private static async Task EndAzuriteAsync(bool kill)
    {
        using var app = new LocalApp();
        await app.StartAsync();
        using (await app.PostRunAsync(TinyRun.Request("killed", UndisturbedRun.Steps))) { }
        await app.WaitUntilSavedAsync(BlobPaths.Request("killed"), Patience); // what came before may be forgotten whole
        await app.WaitAsync("killed", view => view.Progress?.Step >= 2, Patience);
        await Task.Delay(Random.Shared.Next(500));
        app.EndAzurite(kill);
        await UndisturbedRun.AssertSameAsync(app, "killed");
    }
}

/// <summary>What the killed runs are compared with, made once in a host of its own.</summary>
internal sealed record UndisturbedRun(byte[] Adapter, string Metrics, byte[] AdapterOfAnotherSeed)
{
    public const int Steps = 10;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);
    private static readonly Lazy<Task<UndisturbedRun>> Made = new(MakeAsync);

    public static Task<UndisturbedRun> GetAsync()
    {
        return Made.Value;
    }

    /// <summary>Waits for a run's end and compares what it came to.</summary>
    public static async Task AssertSameAsync(LocalApp app, string runId)
    {
        await app.WaitAsync(runId, view => view.Status == "Completed", Patience);
        var undisturbed = await GetAsync();
        Assert.Equal(undisturbed.Adapter, await app.ReadBlobAsync(BlobPaths.Published(runId, RunFiles.AdapterWeights)));
        Assert.Equal(undisturbed.Metrics, MetricsOf(await app.ReadBlobAsync(BlobPaths.Published(runId, RunFiles.Metrics))));
    }

    private static async Task<UndisturbedRun> MakeAsync()
    {
        using var app = new LocalApp();
        await app.StartAsync();
        using (await app.PostRunAsync(TinyRun.Request("undisturbed", Steps))) { }
        using (await app.PostRunAsync(TinyRun.Request("other", steps: 1, seed: 6))) { }
        await app.WaitAsync("undisturbed", view => view.Status == "Completed", Patience);
        await app.WaitAsync("other", view => view.Status == "Completed", Patience);
        return new UndisturbedRun(
            await app.ReadBlobAsync(BlobPaths.Published("undisturbed", RunFiles.AdapterWeights)),
            MetricsOf(await app.ReadBlobAsync(BlobPaths.Published("undisturbed", RunFiles.Metrics))),
            await app.ReadBlobAsync(BlobPaths.Published("other", RunFiles.AdapterWeights)));
    }

    /// <summary>All metrics but those that say how long something took.</summary>
    private static string MetricsOf(byte[] lines)
    {
        string[] steps = SoakCommand.WithoutTimes(lines);
        Assert.Equal(Steps, steps.Length);
        return string.Join('\n', steps);
    }
}
