using System.Globalization;
using System.Text;
using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Scale;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>
/// The simulation of tools/scale against real runs: the same run on one, two and four hosts that share a hub, each with one activity at a
/// time and an activity with one thread; on two also with its updates in shards.
/// </summary>
[Trait("Category", "Slow")]
public sealed class ScaleTests(ITestOutputHelper output) : IDisposable
{
    private const int RolloutShards = 4, Steps = 5;

    /// <summary>As far as a step may be, either way, from what the stages come to that the same run tells: that the activities are put together rightly.</summary>
    private const double ToleranceByItself = 1.6;

    /// <summary>And from what the stages come to that one host told before: the machine's neighbours come and go meanwhile.</summary>
    private const double ToleranceByOne = 3;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>Hosts that share a machine are worth as many replicas as it has cores; what a run of theirs tells has that in it already.</summary>
    private static readonly int Cores = Environment.ProcessorCount;

    private readonly List<LocalApp> _hosts = [];

    [Fact]
    public async Task A_run_on_two_and_four_hosts_takes_as_long_as_foretold()
    {
        var alone = await MeasureAsync(hosts: 1, updateShards: 1);
        // What lies between activities: two fan-outs a step, and no other host that could look at the queue.
        double orchestration = Math.Max(0, (alone.StepSeconds - alone.ActivitySeconds) / 2);
        var stages = StagesOf(alone);

        Say($"{Cores} cores. On one host a token takes {stages.TokenSeconds * 1e3:F2} ms, a sample's update {stages.UpdateSampleSeconds * 1e3:F1} ms,");
        Say($"an activity beside that {stages.ActivitySeconds:F2} s, the orchestration {orchestration:F2} s.");
        Say($"| hosts | `updateShards` | a step, s | by its own stages | by those of one host |");
        Say($"|---|---|---|---|---|");
        var off = new List<(double ByItself, double ByOne)>();
        foreach (var (hosts, updateShards) in new[] { (1, 1), (2, 1), (2, 2), (4, 1) })
        {
            var measured = (hosts, updateShards) == (1, 1) ? alone : await MeasureAsync(hosts, updateShards);
            double byItself = Simulate(StagesOf(measured), measured, hosts), byOne = Simulate(stages, measured, Math.Min(hosts, Cores));
            Say($"| {hosts} | {updateShards} | {measured.StepSeconds:F2} | {byItself:F2} | {byOne:F2} |");
            off.Add((measured.StepSeconds / byItself, measured.StepSeconds / byOne));
        }

        Assert.All(off, ratio => Assert.InRange(ratio.ByItself, 1 / ToleranceByItself, ToleranceByItself));
        Assert.All(off, ratio => Assert.InRange(ratio.ByOne, 1 / ToleranceByOne, ToleranceByOne));

        StageTimes StagesOf(Measured run)
        {
            var told = StageTimes.FromRun(run.Report, run.Metrics, run.Request, new StageTimes { Name = "", Source = "", ReplicaBytesPerSecond = 1e9 });
            // Where an update is split its seconds are those of many activities: a sample takes as long as on one host.
            double sample = run.Request.Compute.UpdateShards == 1 ? told.UpdateSampleSeconds : StagesOf(alone).UpdateSampleSeconds;
            double computed = (told.TokenSeconds * run.Tokens) + (sample * run.Request.Training.BatchSize);
            return told with
            {
                UpdateSampleSeconds = sample,
                ActivitySeconds = Math.Max(0, (run.ActivitySeconds - computed) / Activities(run.Request)),
                OrchestrationSeconds = orchestration,
            };
        }

        double Simulate(StageTimes by, Measured run, int replicas)
        {
            var plan = PlanOf(run.Request) with { Replicas = replicas, ShortestResponse = 1, LongestResponse = (int)Math.Round((2 * run.Tokens / run.Request.Training.BatchSize) - 1) };
            return Simulation.Run(by, new Platform(), plan).Seconds / plan.Steps;
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

    private static Plan PlanOf(RunRequest request)
    {
        return new Plan
        {
            Steps = Steps - 1,
            BatchSize = request.Training.BatchSize,
            RolloutShards = RolloutShards,
            OptimizerBatch = request.Training.MiniBatchSize,
            Epochs = request.Training.Epochs,
            UpdateShards = request.Compute.UpdateShards,
        };
    }

    /// <summary>Of a step.</summary>
    private static int Activities(RunRequest request)
    {
        var plan = PlanOf(request);
        return RolloutShards + 1 + (plan.UpdateShards == 1 ? 0 : plan.OptimizerSteps * (plan.UpdateShards + 1));
    }

    /// <summary>Has a run done by so many hosts; those there are stay.</summary>
    private async Task<Measured> MeasureAsync(int hosts, int updateShards)
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
        var first = (await hub.WaitAsync(request.RunId!, view => view.Progress?.Step >= 1, Patience)).Progress!;
        var began = DateTime.UtcNow;
        var last = (await hub.WaitAsync(request.RunId!, view => view.Progress?.Step == Steps, Patience)).Progress!;
        var (seconds, steps) = ((DateTime.UtcNow - began).TotalSeconds, Steps - first.Step);
        await hub.WaitAsync(request.RunId!, view => view.Status == "Completed", Patience);

        var report = JsonSerializer.Deserialize<EvaluationReport>(await hub.ReadBlobAsync(BlobPaths.Published(request.RunId!, RunFiles.Evaluation)), ContractsJson.Options)!;
        string metrics = Encoding.UTF8.GetString(await hub.ReadBlobAsync(BlobPaths.Published(request.RunId!, RunFiles.Metrics)));
        return new Measured(
            request,
            report,
            [.. metrics.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonSerializer.Deserialize<Dictionary<string, double>>(line)!)],
            seconds / steps,
            (last.Cost!.Seconds - first.Cost!.Seconds) / steps);
    }

    private void Say(FormattableString line)
    {
        string text = line.ToString(CultureInfo.InvariantCulture);
        output.WriteLine(text);
        TestContext.Current.SendDiagnosticMessage(text);
    }

    /// <summary>What a run took; the first step is left out, in which models are loaded.</summary>
    /// <param name="Request">The run.</param>
    /// <param name="Report">Its report.</param>
    /// <param name="Metrics">Its steps'.</param>
    /// <param name="StepSeconds">Of a step, by the clock.</param>
    /// <param name="ActivitySeconds">Of a step's activities, added up.</param>
    private sealed record Measured(
        RunRequest Request, EvaluationReport Report, IReadOnlyList<IReadOnlyDictionary<string, double>> Metrics, double StepSeconds, double ActivitySeconds)
    {
        /// <summary>Of a step.</summary>
        public double Tokens => Metrics.Average(step => step[MetricNames.ResponseLengthMean]) * Request.Training.BatchSize;
    }
}
