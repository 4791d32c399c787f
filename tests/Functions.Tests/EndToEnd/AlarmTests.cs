using System.Text.Json;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>A run that goes too far stops itself: its checkpoint stays, what it learned is measured, and does not serve.</summary>
public sealed class AlarmTests(RunningApp running) : IClassFixture<RunningApp>
{
    private const int Steps = 4;

    public static TheoryData<string, string, AlarmSettings> Cases => new()
    {
        { "too-far", "ppo.alarms.maxKl", new AlarmSettings { MaxKl = 1e-6, MaxRatio = null, MaxLengthDrift = null } },
        { "too-fast", "ppo.alarms.maxRatio", new AlarmSettings { MaxKl = null, MaxRatio = 1, MaxLengthDrift = null } },
        { "too-long", "ppo.alarms.maxLengthDrift", new AlarmSettings { MaxKl = null, MaxRatio = null, MaxLengthDrift = 1 } },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task An_alarm_ends_a_run_after_its_checkpoint(string runId, string limit, AlarmSettings alarms)
    {
        var request = TinyRun.Request(runId, Steps);
        request = request with { Ppo = request.Ppo! with { Alarms = alarms } };
        using (var accepted = await running.App.PostRunAsync(request)) Assert.True(accepted.IsSuccessStatusCode);
        var view = await running.App.WaitAsync(runId, view => view.Status == "Completed", TimeSpan.FromMinutes(5));

        int done = view.Progress!.Step;
        Assert.InRange(done, 1, Steps - 1);
        Assert.Contains(limit, view.Progress.LastStep!.Alarm, StringComparison.Ordinal);
        Assert.Equal(view.Progress.LastStep.Alarm, view.Outcome!.Alarm);
        Assert.False(view.Outcome.Published);

        Assert.NotEmpty(await running.App.ReadBlobAsync($"{BlobPaths.Checkpoint(runId, done)}/manifest.json"));
        var latest = running.App.Blobs.GetBlobContainerClient(BlobPaths.Adapters).GetBlobClient("latest.json");
        Assert.False((await latest.ExistsAsync()).Value);
        using var evaluation = JsonDocument.Parse(await running.App.ReadBlobAsync(BlobPaths.Published(runId, RunFiles.Evaluation)));
        Assert.Equal(view.Outcome.Alarm, evaluation.RootElement.GetProperty("alarm").GetString());
        Assert.Equal(done, evaluation.RootElement.GetProperty("steps").GetInt32());
        string metrics = System.Text.Encoding.UTF8.GetString(await running.App.ReadBlobAsync(BlobPaths.Published(runId, RunFiles.Metrics)));
        Assert.Equal(done, metrics.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }
}
