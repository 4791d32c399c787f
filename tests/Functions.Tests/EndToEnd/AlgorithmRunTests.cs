using System.Net;
using System.Text;
using System.Text.Json;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>A run by each algorithm other than PPO, from the request to the report.</summary>
public sealed class AlgorithmRunTests(RunningApp running) : IClassFixture<RunningApp>
{
    private const int Steps = 2;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    [Theory]
    [InlineData(AlgorithmName.Grpo, 2, MetricNames.EqualGroups, MetricNames.Kl)] // β is 0: the reference is not asked
    [InlineData(AlgorithmName.Rloo, 1, MetricNames.Kl, MetricNames.ValueLoss)]
    [InlineData(AlgorithmName.Dpo, 2, MetricNames.PreferenceMargin, MetricNames.RewardMean)]
    public async Task A_run_ends_with_its_own_metrics_and_a_report(AlgorithmName algorithm, int updateShards, string reported, string notReported)
    {
        var request = TinyRun.By(algorithm, $"by-{algorithm}".ToLowerInvariant(), Steps) with { Compute = new ComputeSettings { UpdateShards = updateShards } };
        using (var accepted = await running.App.PostRunAsync(request))
            Assert.True(accepted.StatusCode == HttpStatusCode.Accepted, await accepted.Content.ReadAsStringAsync());
        var view = await running.App.WaitAsync(request.RunId!, view => view.Status == "Completed", Patience);

        Assert.Equal(Steps, view.Outcome!.Steps);
        Assert.Equal(request.Training.Section, view.Request.Training.Section);
        string metrics = Encoding.UTF8.GetString(await running.App.ReadBlobAsync(BlobPaths.Published(request.RunId!, RunFiles.Metrics)));
        var steps = metrics.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonSerializer.Deserialize<Dictionary<string, double>>(line)!).ToArray();
        Assert.Equal(Steps, steps.Length);
        Assert.All(steps, step => Assert.Contains(reported, step.Keys));
        Assert.All(steps, step => Assert.DoesNotContain(notReported, step.Keys));
        Assert.All(steps, step => Assert.True(double.IsFinite(step[MetricNames.TotalLoss])));
        string report = Encoding.UTF8.GetString(await running.App.ReadBlobAsync(BlobPaths.Published(request.RunId!, RunFiles.Report)));
        Assert.Contains($"{Steps} steps of {request.Training.Section.ToUpperInvariant()}", report, StringComparison.Ordinal);
    }
}
