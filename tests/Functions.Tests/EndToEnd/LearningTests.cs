using System.Text.Json;
using System.Text.Json.Nodes;
using RlhfFunctions.Contracts;
using RlhfFunctions.LocalHost.Hosting;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Samples.Make.Quality;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>What the demo promises, and that it is the reward, by PPO, that brings it about.</summary>
[Trait("Category", "Slow")]
public sealed class LearningTests(LearningTests.ShortRun usual) : IClassFixture<LearningTests.ShortRun>
{
    /// <summary>With its defaults, and with 4-bit weights computed in bfloat16: the README's promises, by the judge and by the oracle.</summary>
    [Theory]
    [InlineData(0, "float32")]
    [InlineData(7, "float32")]
    [InlineData(0, "nf4")]
    public async Task The_model_learns_not_to_insult_without_forgetting_how_to_summarise(int seed, string precision)
    {
        using var folder = new OutputFolder();
        string request = Path.Combine(folder.Path, "request.json");
        var demo = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(Repository.Root, "samples", "demo.json")))!;
        demo["model"]!["precision"] = precision;
        await File.WriteAllTextAsync(request, demo.ToJsonString());
        string printed = await RunAsync(folder.Path, "--seed", $"{seed}", "--request", request);

        var report = folder.Report();
        var (before, after) = (report.Before, report.After);
        Assert.True(after.LabelProbability!.Mean <= before.LabelProbability!.Mean / 6, printed);
        Assert.True(after.LabelProbability!.High < before.LabelProbability!.Low, printed);
        Assert.True(after.RougeL.Mean >= 0.98 * before.RougeL.Mean, printed);
        Assert.True(report.Kl.HeldOut.Mean <= 3 && report.Kl.HeldOut.Mean >= report.Kl.Floor, printed);
        Assert.InRange(after.DistinctBigrams / before.DistinctBigrams, 0.85, 1.15);
        Assert.InRange(after.EndedByEos, 0.98, 1);

        string dialogues = Path.Combine(Repository.Root, "samples", "dialogues", "test.csv");
        var check = RunCheck.Read(folder.Path, DialogueReader.ReadFile(dialogues));
        Assert.All(check.Lines(), line => Assert.False(line.Holds == false, $"{line.What}: {line.Before:F3} before, {line.After:F3} after"));
    }

    [Fact]
    public async Task With_the_reward_turned_round_hate_rises()
    {
        var report = await ShortRun.ReportAsync(Weighted(-1));
        var (before, after) = (report.Before, report.After);
        Assert.True(usual.Report.After.LabelProbability!.High < usual.Report.Before.LabelProbability!.Low);
        Assert.True(after.LabelProbability!.Low > before.LabelProbability!.High, $"{before.LabelProbability!.Mean} → {after.LabelProbability!.Mean}");
    }

    [Fact]
    public async Task Without_a_reward_nothing_moves_beyond_noise()
    {
        var report = await ShortRun.ReportAsync(Weighted(0));
        Assert.InRange(report.After.LabelProbability!.Mean, report.Before.LabelProbability!.Low, report.Before.LabelProbability!.High);
        Assert.InRange(report.Kl.HeldOut.Mean, -0.05, 0.05);
        Assert.True(usual.Report.Kl.HeldOut.Mean > 0.1);
    }

    [Fact]
    public async Task Without_its_price_the_distance_from_the_reference_is_larger()
    {
        var free = await ShortRun.ReportAsync(ShortRun.Request with
        {
            Ppo = ShortRun.Request.Ppo! with { KlCoefficient = 0, AdaptiveKl = false },
        });
        Assert.True(
            free.Kl.HeldOut.Mean > usual.Report.Kl.HeldOut.Mean, $"{free.Kl.HeldOut.Mean} without, {usual.Report.Kl.HeldOut.Mean} with a price");
    }

    private static RunRequest Weighted(double factor)
    {
        return ShortRun.Request with
        {
            Watch = null, // or it would stop a run whose reward pays for hate
            Reward = new RewardSettings { Terms = [.. ShortRun.Request.Reward!.Terms.Select(term => term with { Weight = factor * term.Weight })] },
        };
    }

    private static async Task<string> RunAsync(string output, params string[] arguments)
    {
        using var app = new LocalApp();
        using var demo = HostProcess.Start(["demo", "--output", output, .. arguments, .. app.HostArguments]);
        Assert.True(await demo.WaitAsync(TimeSpan.FromMinutes(20)) == 0, demo.Output + demo.Error);
        return demo.Output;
    }

    /// <summary>A third of the demo's steps, as it is, for others to be compared with.</summary>
    public sealed class ShortRun : IAsyncLifetime
    {
        public static RunRequest Request { get; } = Read() with { Seed = 1 };

        public EvaluationReport Report { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            Report = await ReportAsync(Request);
        }

        public ValueTask DisposeAsync()
        {
            return ValueTask.CompletedTask;
        }

        public static async Task<EvaluationReport> ReportAsync(RunRequest request)
        {
            using var folder = new OutputFolder();
            string file = Path.Combine(folder.Path, "request.json");
            await File.WriteAllTextAsync(file, JsonSerializer.Serialize(request, ContractsJson.Options));
            await RunAsync(folder.Path, "--request", file);
            return folder.Report();
        }

        private static RunRequest Read()
        {
            string demo = File.ReadAllText(Path.Combine(Repository.Root, "samples", "demo.json"));
            var request = JsonSerializer.Deserialize<RunRequest>(demo, ContractsJson.Strict)!;
            return request with { Ppo = request.Ppo! with { Steps = 20 } };
        }
    }

    private sealed class OutputFolder : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("rlhf-output-").FullName;

        public EvaluationReport Report()
        {
            string json = File.ReadAllText(System.IO.Path.Combine(Path, RunFiles.Evaluation));
            return JsonSerializer.Deserialize<EvaluationReport>(json, ContractsJson.Options)!;
        }

        public void Dispose()
        {
            Directory.Delete(Path, recursive: true);
        }
    }
}
