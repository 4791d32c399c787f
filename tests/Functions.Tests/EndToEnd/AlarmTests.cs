using System.Text.Json;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>A run that goes too far, or takes too much, stops itself: its checkpoint stays, what it learned is measured, and does not serve.</summary>
public sealed class AlarmTests(RunningApp running) : IClassFixture<RunningApp>
{
    private const int Steps = 4;

    public static TheoryData<string, string, AlarmSettings, RunLimits> Cases => new()
    {
        { "too-far", "ppo.alarms.maxKl", new AlarmSettings { MaxKl = 1e-6, MaxRatio = null, MaxLengthDrift = null }, new RunLimits() },
        { "too-fast", "ppo.alarms.maxRatio", new AlarmSettings { MaxKl = null, MaxRatio = 1, MaxLengthDrift = null }, new RunLimits() },
        { "too-long", "ppo.alarms.maxLengthDrift", new AlarmSettings { MaxKl = null, MaxRatio = null, MaxLengthDrift = 1 }, new RunLimits() },
        { "too-dear", "limits.maxHours", new AlarmSettings(), new RunLimits { MaxHours = 1e-5 } },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task An_alarm_or_a_limit_ends_a_run_after_its_checkpoint(string runId, string limit, AlarmSettings alarms, RunLimits limits)
    {
        var request = TinyRun.Request(runId, Steps);
        request = request with { Ppo = request.Ppo! with { Alarms = alarms }, Limits = limits };
        using (var accepted = await running.App.PostRunAsync(request)) Assert.True(accepted.IsSuccessStatusCode);
        var view = await running.App.WaitAsync(runId, view => view.Status == "Completed", TimeSpan.FromMinutes(5));

        int done = view.Progress!.Step;
        Assert.InRange(done, 1, Steps - 1);
        var last = view.Progress.LastStep!;
        Assert.Contains(limit, last.Alarm ?? last.Limit, StringComparison.Ordinal);
        Assert.Equal(limit.StartsWith("limits.", StringComparison.Ordinal), last.Alarm is null);
        Assert.Equal((last.Alarm, last.Limit), (view.Outcome!.Alarm, view.Outcome.Limit));
        Assert.False(view.Outcome.Published);
        Assert.True(view.Outcome.Cost!.Seconds > 0 && view.Outcome.Cost.ResponseTokens > 0, $"{view.Outcome.Cost}");

        Assert.NotEmpty(await running.App.ReadBlobAsync($"{BlobPaths.Checkpoint(runId, done)}/manifest.json"));
        var latest = running.App.Blobs.GetBlobContainerClient(BlobPaths.Adapters).GetBlobClient("latest.json");
        Assert.False((await latest.ExistsAsync()).Value);
        using var evaluation = JsonDocument.Parse(await running.App.ReadBlobAsync(BlobPaths.Published(runId, RunFiles.Evaluation)));
        Assert.Equal(last.Alarm ?? last.Limit, evaluation.RootElement.GetProperty(last.Alarm is null ? "limit" : "alarm").GetString());
        Assert.Equal(done, evaluation.RootElement.GetProperty("steps").GetInt32());
        string metrics = System.Text.Encoding.UTF8.GetString(await running.App.ReadBlobAsync(BlobPaths.Published(runId, RunFiles.Metrics)));
        Assert.Equal(done, metrics.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }
}
