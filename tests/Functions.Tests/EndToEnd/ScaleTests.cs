using System.Globalization;
using System.Text;
using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Scale;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>
/// The simulation of tools/scale against real runs: the same run on one, two and four hosts that share a hub, each with one activity at a
/// time. The stages are those that the run on one host tells; what two and four do is foretold from them, and then measured.
/// </summary>
[Trait("Category", "Slow")]
public sealed class ScaleTests(ITestOutputHelper output)
{
    private const int Shards = 4, Steps = 9;

    /// <summary>Hosts that share a machine are worth as many replicas as it has cores.</summary>
    private static readonly int Cores = Environment.ProcessorCount;

    [Fact]
    public async Task A_run_on_two_and_four_hosts_takes_as_long_as_foretold()
    {
        var alone = await MeasureAsync(1);
        var stages = StageTimes.FromRun(alone.Report, alone.Metrics, Request(1), new StageTimes { Name = "", Source = "", ReplicaBytesPerSecond = 1e9 });
        var platform = new Platform();
        // What the activities themselves do not tell lies between them: two fan-outs a step.
        stages = stages with { OrchestrationSeconds = Math.Max(0, (alone.StepSeconds - Foretold(1)) / 2) };

        output.WriteLine("| hosts | foretold, s a step | measured | speed-up foretold | measured |\n|---|---|---|---|---|");
        output.WriteLine(Row(1, alone.StepSeconds));
        var measured = new List<(int Hosts, double Seconds)>();
        foreach (int hosts in new[] { 2, 4 })
        {
            measured.Add((hosts, (await MeasureAsync(hosts)).StepSeconds));
            output.WriteLine(Row(hosts, measured[^1].Seconds));
        }

        output.WriteLine(JsonSerializer.Serialize(stages, ContractsJson.Indented));
        Assert.All(measured, run => Assert.InRange(run.Seconds / Foretold(run.Hosts), 1 / 1.5, 1.5)); // neighbours come and go

        double Foretold(int hosts)
        {
            var plan = new Plan
            {
                Replicas = Math.Min(hosts, Cores),
                Steps = Steps - 1,
                BatchSize = Request(1).Training.BatchSize,
                RolloutShards = Shards,
                Epochs = Request(1).Training.Epochs,
                ShortestResponse = 1,
                LongestResponse = (int)Math.Round((2 * alone.Metrics.Average(step => step[MetricNames.ResponseLengthMean])) - 1),
            };
            return Simulation.Run(stages, platform, plan).Seconds / plan.Steps;
        }

        string Row(int hosts, double seconds)
        {
            return string.Create(
                CultureInfo.InvariantCulture,
                $"| {hosts} | {Foretold(hosts):F2} | {seconds:F2} | {Foretold(1) / Foretold(hosts):F2} | {alone.StepSeconds / seconds:F2} |");
        }
    }

    private static RunRequest Request(int hosts)
    {
        var tiny = TinyRun.Request($"on-{hosts}", Steps);
        return tiny with
        {
            Ppo = tiny.Ppo! with { BatchSize = 128, MiniBatchSize = 32, Epochs = 1 },
            Generation = new GenerationSettings { MaxNewTokens = 40 },
            Data = tiny.Data with { TrainRows = 400 },
            Compute = new ComputeSettings { RolloutShards = Shards, RolloutThreads = 1, UpdateThreads = 2 },
        };
    }

    /// <returns>With the mean seconds of a step, the first left out: there the model is loaded.</returns>
    private static async Task<(EvaluationReport Report, IReadOnlyList<IReadOnlyDictionary<string, double>> Metrics, double StepSeconds)> MeasureAsync(int hosts)
    {
        var apps = Enumerable.Range(0, hosts).Select(_ => new LocalApp()).ToList();
        try
        {
            var environment = new Dictionary<string, string> { ["AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions"] = "1" };
            await apps[0].StartAsync(environment);
            environment["AzureWebJobsStorage"] = apps[0].ConnectionString;
            foreach (var app in apps.Skip(1)) await app.StartAsync(environment);

            var request = Request(hosts);
            using (var accepted = await apps[0].PostRunAsync(request)) Assert.True(accepted.IsSuccessStatusCode);
            var first = await apps[0].WaitAsync(request.RunId!, view => view.Progress?.Step >= 1, TimeSpan.FromMinutes(5));
            var began = DateTime.UtcNow;
            await apps[0].WaitAsync(request.RunId!, view => view.Progress?.Step == Steps, TimeSpan.FromMinutes(10));
            double seconds = (DateTime.UtcNow - began).TotalSeconds / (Steps - first.Progress!.Step);
            await apps[0].WaitAsync(request.RunId!, view => view.Status == "Completed", TimeSpan.FromMinutes(5));

            var report = JsonSerializer.Deserialize<EvaluationReport>(await apps[0].ReadBlobAsync(BlobPaths.Published(request.RunId!, RunFiles.Evaluation)), ContractsJson.Options)!;
            string metrics = Encoding.UTF8.GetString(await apps[0].ReadBlobAsync(BlobPaths.Published(request.RunId!, RunFiles.Metrics)));
            return (report, [.. metrics.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonSerializer.Deserialize<Dictionary<string, double>>(line)!)], seconds);
        }
        finally
        {
            foreach (var app in Enumerable.Reverse(apps)) app.Dispose();
        }
    }
}
