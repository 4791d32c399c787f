using System.Text.Json;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>From votes to a better model, as a user types it.</summary>
public sealed class FeedbackTests
{
    [Theory]
    [Trait("Category", "Slow")]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Two_hundred_votes_a_tenth_of_them_wrong_make_a_policy_that_wins(int seed)
    {
        using var app = new LocalApp();
        string output = Path.Combine(app.DataFolder, "output");
        using var process = HostProcess.Start(["feedback", "--simulate", "--seed", $"{seed}", "--output", output, .. app.HostArguments]);
        Assert.True(await process.WaitAsync(TimeSpan.FromMinutes(15)) == 0, process.Error + process.Output);

        using var report = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(output, "feedback.json")));
        Assert.InRange(report.RootElement.GetProperty("votes").GetInt32(), 150, 200);
        var wins = report.RootElement.GetProperty("winRate");
        Assert.InRange(wins.GetProperty("mean").GetDouble(), 0.8, 1);
        Assert.InRange(wins.GetProperty("low").GetDouble(), 0.7, 1);
        Assert.InRange(report.RootElement.GetProperty("rewardAccuracy").GetProperty("low").GetDouble(), 0.5, 1);
        Assert.True(File.Exists(Path.Combine(output, "votes.jsonl")) && File.Exists(Path.Combine(output, "reward", "model.safetensors")));
        Assert.True(File.Exists(Path.Combine(output, "run", "report.html")));
    }
}
