using System.Globalization;
using System.Text;
using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Scale;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>
/// The simulation of tools/scale against real runs: the same run on one, two and four hosts that share a hub, each with one activity at a
/// time and an activity with one thread; on two also with its updates in shards. The stages are those that the run on one host tells; what
/// the others do is foretold from them, and then measured.
/// </summary>
[Trait("Category", "Slow")]
public sealed class ScaleTests(ITestOutputHelper output) : IDisposable
{
    private const int RolloutShards = 4, Steps = 5;

    /// <summary>As far as a step may be from what was foretold, either way: neighbours of the machine come and go.</summary>
    private const double Tolerance = 1.6;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>Hosts that share a machine are worth as many replicas as it has cores.</summary>
    private static readonly int Cores = Environment.ProcessorCount;

    private readonly List<LocalApp> _hosts = [];

    [Fact]
    public async Task A_run_on_two_and_four_hosts_takes_as_long_as_foretold()
    {
        var alone = await MeasureAsync(hosts: 1);
        var stages = StageTimes.FromRun(alone.Report, alone.Metrics, Request(1, 1), new StageTimes { Name = "", Source = "", ReplicaBytesPerSecond = 1e9 });
        // What the activities themselves do not tell lies between them: two fan-outs a step.
        stages = stages with { OrchestrationSeconds = Math.Max(0, (alone.StepSeconds - Foretell(1, 1)) / 2) };

        Say($"{Cores} cores. On one host a token takes {stages.TokenSeconds * 1e3:F2} ms, a sample's update {stages.UpdateSampleSeconds * 1e3:F1} ms,");
        Say($"an activity beside that {stages.ActivitySeconds:F2} s, the orchestration {stages.OrchestrationSeconds:F2} s.");
        Say($"| hosts | `updateShards` | foretold, s a step | measured | speed-up foretold | measured |");
        Say($"|---|---|---|---|---|---|");
        var off = new List<double>();
        foreach (var (hosts, updateShards) in new[] { (1, 1), (2, 1), (2, 2), (4, 1) })
        {
            double foretold = Foretell(hosts, updateShards);
            double measured = (hosts, updateShards) == (1, 1) ? alone.StepSeconds : (await MeasureAsync(hosts, updateShards)).StepSeconds;
            Say($"| {hosts} | {updateShards} | {foretold:F2} | {measured:F2} | {Foretell(1, 1) / foretold:F2} | {alone.StepSeconds / measured:F2} |");
            off.Add(measured / foretold);
        }

        Assert.All(off, ratio => Assert.InRange(ratio, 1 / Tolerance, Tolerance));

        double Foretell(int hosts, int updateShards)
        {
            var request = Request(hosts, updateShards);
            var plan = new Plan
            {
                Replicas = Math.Min(hosts, Cores),
                Steps = Steps - 1,
                BatchSize = request.Training.BatchSize,
                RolloutShards = RolloutShards,
                OptimizerBatch = request.Training.MiniBatchSize,
                Epochs = request.Training.Epochs,
                UpdateShards = updateShards,
                ShortestResponse = 1,
                LongestResponse = (int)Math.Round((2 * alone.Metrics.Average(step => step[MetricNames.ResponseLengthMean])) - 1),
            };
            return Simulation.Run(stages, new Platform(), plan).Seconds / plan.Steps;
        }
    }

    public void Dispose()
    {
        foreach (var host in Enumerable.Reverse(_hosts)) host.Dispose();
    }

    private static RunRequest Request(int hosts, int updateShards)
    {
        var tiny = TinyRun.Request($"on-{hosts}-by-{updateShards}", Steps);
        return tiny with
        {
            Ppo = tiny.Ppo! with { BatchSize = 96, MiniBatchSize = 48, Epochs = 1 },
            Generation = new GenerationSettings { MaxNewTokens = 40 },
            Data = tiny.Data with { TrainRows = 400 },
            Compute = new ComputeSettings { RolloutShards = RolloutShards, RolloutThreads = 1, UpdateShards = updateShards, UpdateThreads = 1 },
        };
    }

    /// <summary>Has a run done by so many hosts; those there are stay.</summary>
    /// <returns>With the mean seconds of a step, the first left out: there the model is loaded.</returns>
    private async Task<(EvaluationReport Report, IReadOnlyList<IReadOnlyDictionary<string, double>> Metrics, double StepSeconds)> MeasureAsync(int hosts, int updateShards = 1)
    {
        while (_hosts.Count < hosts)
        {
            var environment = new Dictionary<string, string> { ["AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions"] = "1" };
            if (_hosts.Count > 0) environment["AzureWebJobsStorage"] = _hosts[0].ConnectionString;
            _hosts.Add(new LocalApp());
            await _hosts[^1].StartAsync(environment);
        }

        var (hub, request) = (_hosts[0], Request(hosts, updateShards));
        using (var accepted = await hub.PostRunAsync(request)) Assert.True(accepted.IsSuccessStatusCode);
        var first = await hub.WaitAsync(request.RunId!, view => view.Progress?.Step >= 1, Patience);
        var began = DateTime.UtcNow;
        await hub.WaitAsync(request.RunId!, view => view.Progress?.Step == Steps, Patience);
        double seconds = (DateTime.UtcNow - began).TotalSeconds / (Steps - first.Progress!.Step);
        await hub.WaitAsync(request.RunId!, view => view.Status == "Completed", Patience);

        var report = JsonSerializer.Deserialize<EvaluationReport>(await hub.ReadBlobAsync(BlobPaths.Published(request.RunId!, RunFiles.Evaluation)), ContractsJson.Options)!;
        string metrics = Encoding.UTF8.GetString(await hub.ReadBlobAsync(BlobPaths.Published(request.RunId!, RunFiles.Metrics)));
        return (report, [.. metrics.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonSerializer.Deserialize<Dictionary<string, double>>(line)!)], seconds);
    }

    private void Say(FormattableString line)
    {
        string text = line.ToString(CultureInfo.InvariantCulture);
        output.WriteLine(text);
        TestContext.Current.SendDiagnosticMessage(text);
    }
}
