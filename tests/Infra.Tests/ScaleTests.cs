using System.Text.Json;
using System.Xml.Linq;
using CsCheck;
using RlhfFunctions.Contracts;
using RlhfFunctions.Scale;

namespace RlhfFunctions.Infra.Tests;

/// <summary>The simulation against cases worked by hand and against what must hold whatever the numbers; and that the page shows what it makes.</summary>
public sealed class ScaleTests
{
    /// <summary>One token costs a second, an update two seconds a sample; nothing else takes time.</summary>
    private static readonly StageTimes Seconds = new() { Name = "", Source = "", TokenSeconds = 1, UpdateSampleSeconds = 2, ReplicaBytesPerSecond = 1 };

    private static readonly Platform Instant = new()
    {
        FanOutPerSecond = double.PositiveInfinity,
        FanInPerSecond = double.PositiveInfinity,
        PollSeconds = (1e-9, 1e-9),
        IngressBytesPerSecond = double.PositiveInfinity,
        EgressBytesPerSecond = double.PositiveInfinity,
    };

    /// <summary>Four responses of ten tokens, one epoch.</summary>
    private static readonly Plan Plan = new() { Steps = 1, BatchSize = 4, RolloutShards = 4, Epochs = 1, ShortestResponse = 10, LongestResponse = 10 };

    [Theory]
    [InlineData(1, 40)] // one after another
    [InlineData(2, 20)] // two and two
    [InlineData(3, 20)] // three, and the last one alone
    [InlineData(4, 10)]
    [InlineData(1000, 10)] // no more shards than four
    public void Rollouts_take_as_many_rounds_as_there_are_shards_for_a_replica(int replicas, double rollouts)
    {
        var outcome = Simulation.Run(Seconds, Instant, Plan with { Replicas = replicas });
        Assert.Equal(rollouts, outcome.RolloutSeconds, 1e-6);
        Assert.Equal(8, outcome.UpdateSeconds, 1e-6);
        Assert.Equal(40, outcome.Tokens);
        Assert.Equal(48, outcome.BusySeconds, 1e-6);
        Assert.Equal(replicas * (rollouts + 8), outcome.PaidSeconds, 1e-4);
        Assert.Equal(outcome.PaidSeconds / 3600 * 2 / 40 * 1e6, outcome.PricePerMillion(2), 1e-6);
    }

    [Fact]
    public void Without_waits_a_step_is_Amdahls_law()
    {
        foreach (int replicas in new[] { 1, 2, 4, 8, 64 })
        {
            var plan = Plan with { BatchSize = 64, RolloutShards = 64, Replicas = replicas };
            double alone = Simulation.Run(Seconds, Instant, plan with { Replicas = 1 }).Seconds;
            Assert.Equal(Work.MostSpeedUp(64 * 10, 64 * 2, replicas), alone / Simulation.Run(Seconds, Instant, plan).Seconds, 1e-6);
        }

        Assert.Equal(5, Work.Balance(Seconds, Plan)); // a response takes ten seconds, its update two
        Assert.Equal(6, Work.MostSpeedUp(640, 128, 1_000_000_000), 1e-6); // however many replicas
    }

    [Fact]
    public void Every_wait_is_where_it_should_be()
    {
        var stages = Seconds with { ActivitySeconds = 100, OrchestrationSeconds = 1000, CheckpointBytes = 7, RolloutBytesPerSample = 3 };
        var platform = Instant with { FanOutPerSecond = 0.5, FanInPerSecond = 0.25, EgressBytesPerSecond = 1, IngressBytesPerSecond = 1 };

        // Messages at 2, 4, 6 and 8 s. Each shard: 100 s, the checkpoint at a fourth of the account's byte a second, 10 tokens, 3 bytes up at
        // the same rate: 150 s. The last answer at 158 s; the first at 152, then one every 4 s: heard at 168. The update: a message at 2 s,
        // 100 s, 7 + 12 bytes down, 8 s, 7 bytes up: 134, heard 4 s later: 140.
        var outcome = Simulation.Run(stages, platform, Plan with { Replicas = 4 });
        Assert.Equal(168 + 1000, outcome.RolloutSeconds, 1e-6);
        Assert.Equal(140 + 1000, outcome.UpdateSeconds, 1e-6);
        Assert.Equal(2, outcome.FirstActivitySeconds, 1e-6);
    }

    [Fact]
    public void A_replica_that_found_nothing_looks_again_at_doubling_intervals()
    {
        // It looks at 0, 1, 3, 7, 11, 15, … s; the message is there at 8 s and is taken at 11; the update's at 11 + 40 + 8 and later.
        var platform = Instant with { PollSeconds = (1, 4), FanOutPerSecond = 1.0 / 8 };
        var outcome = Simulation.Run(Seconds, platform, Plan with { RolloutShards = 1 });
        Assert.Equal(11 + 40, outcome.RolloutSeconds, 1e-6);
        Assert.Equal(11 + 8, outcome.UpdateSeconds, 1e-6); // as long after it was free
    }

    [Fact]
    public void An_update_in_shards_waits_for_its_slowest_gradient_and_for_the_sum_at_every_step_of_the_optimizer()
    {
        // Two epochs of two steps of two samples: four times a gradient of one sample (2 s) with an upload of 5 bytes, and a sum: 10 bytes down, 3 s.
        var stages = Seconds with { GradientBytes = 5, OptimizerStepSeconds = 3 };
        var plan = Plan with { Replicas = 2, Epochs = 2, OptimizerBatch = 2, UpdateShards = 2 };
        Assert.Equal(4, plan.OptimizerSteps);
        Assert.Equal(4 * (2 + 5 + 10 + 3), Simulation.Run(stages, Instant, plan).UpdateSeconds, 1e-6);
        Assert.Equal((8 * 2) + (4 * 3), Simulation.Run(stages, Instant, plan with { UpdateShards = 1 }).UpdateSeconds, 1e-6);
    }

    [Fact]
    public void Cold_replicas_come_in_waves_load_the_model_and_are_paid_until_they_are_let_go()
    {
        var stages = Seconds with { ColdStartLow = 60, ColdStartHigh = 60, ModelBytes = 20 };
        var outcome = Simulation.Run(stages, Instant, Plan with { Replicas = 4, IsCold = true });
        Assert.Equal(75, outcome.FirstActivitySeconds, 1e-6); // the scaler looks after 15 s
        Assert.Equal(90, outcome.LastReplicaSeconds, 1e-6); // the other three are asked for 15 s later
        Assert.Equal(90 + 20 + 10, outcome.RolloutSeconds, 1e-4); // they load 20 bytes and write 10 tokens
        Assert.Equal((128 + 300 - 15) + (3 * (128 + 300 - 30)), outcome.PaidSeconds, 1e-3);
    }

    [Fact]
    public void A_shard_takes_a_step_for_its_longest_response_or_for_all_tokens_in_its_places()
    {
        var stages = Seconds with { DecodeStepSeconds = 100, SampleSeconds = 1000, SequencesAtOnce = 2 };
        Assert.Equal((100 * 9) + 12 + 2000, Work.Rollout(stages, [9, 3]));
        Assert.Equal((100 * 11) + 21 + 3000, Work.Rollout(stages, [9, 3, 9])); // 21 tokens in two places: 11 steps
    }

    [Fact]
    public void Whatever_the_numbers_nothing_beats_the_bounds_and_equal_arguments_give_equal_results()
    {
        Gen.Select(Gen.Int[1, 40], Gen.Int[1, 64], Gen.Int[1, 16], Gen.Double[0, 3], Gen.Int[0, 99]).Sample((replicas, batch, shards, wait, seed) =>
        {
            var stages = Seconds with { ActivitySeconds = wait, OrchestrationSeconds = wait, DecodeStepSeconds = 0.1, SampleSeconds = 0.5 };
            var plan = new Plan { Replicas = replicas, BatchSize = batch, RolloutShards = Math.Min(shards, batch), LongestResponse = 30, ShortestResponse = 1, Seed = seed, Steps = 2 };
            var outcome = Simulation.Run(stages, new Platform(), plan);
            Assert.True(outcome.BusySeconds <= (replicas * outcome.Seconds) + 1e-6);
            Assert.True(outcome.UpdateSeconds >= plan.Steps * Work.Update(stages, plan));
            Assert.True(outcome.RolloutSeconds >= outcome.Tokens / (double)replicas);
            Assert.Equal(outcome.Seconds, outcome.RolloutSeconds + outcome.UpdateSeconds, 1e-6);
            Assert.Equal(outcome, Simulation.Run(stages, new Platform(), plan));
        }, iter: 200);
    }

    [Fact]
    public void A_thousand_replicas_and_the_largest_batch_take_no_time_to_speak_of()
    {
        var stages = Stages()[^1];
        var outcome = Simulation.Run(stages, new Platform(), new Plan { Replicas = 1000, BatchSize = 65_536, UpdateShards = 256, IsCold = true });
        Assert.InRange(outcome.Tokens, 65_536L * 4 * 63, 65_536L * 4 * 65); // 16 to 112 tokens, mean 64
        Assert.InRange(outcome.BusySeconds / outcome.Seconds / 1000, 0, 1);
    }

    [Fact]
    public void A_run_tells_its_stages()
    {
        var request = JsonSerializer.Deserialize<RunRequest>(Repository.Read("samples", "demo.json"), ContractsJson.Strict)!; // 32 samples, 2 shards, 3 epochs
        var summary = new MetricSummary(0, 0, 0, 0, 1);
        var measurement = new PolicyMeasurement { LabelProbability = summary, RougeL = summary, ResponseTokens = summary, DistinctResponses = 1, DistinctBigrams = 1, EndedByEos = 1 };
        var report = new EvaluationReport
        {
            RunId = "run",
            Seed = 0,
            Steps = 2,
            Before = measurement,
            After = measurement,
            Kl = new KlSummary(0, 0, summary, null),
            SecondsByStage = new SecondsByStage(0, Rollout: 2 * 4.5, Update: 2 * 10.5, 0, 0),
            Samples = [],
        };
        var step = new Dictionary<string, double>
        {
            [MetricNames.TokensPerSecond] = 200, // two shards of 400 tokens in 4 s
            [MetricNames.ResponseLengthMean] = 25,
            [MetricNames.UpdateSeconds] = 9.6,
        };
        var stages = StageTimes.FromRun(report, [step, step], request, Seconds with { GradientBytes = 5 });
        Assert.Equal(4.0 / 400, stages.TokenSeconds, 1e-12);
        Assert.Equal(9.6 / (32 * 3), stages.UpdateSampleSeconds, 1e-12);
        Assert.Equal(0.7, stages.ActivitySeconds, 1e-9); // 0.5 s of a rollout, 0.9 s of an update
        Assert.Equal(5, stages.GradientBytes);
    }

    [Fact]
    public void The_page_and_its_chart_are_what_the_command_makes()
    {
        const string Remedy = "Make it anew: dotnet run -c Release --project tools/scale -- docs";
        string page = Repository.Read("docs", "scale.md");
        Assert.True(page == Docs.Fill(page, Stages()), $"docs/scale.md is not what the stages come to. {Remedy}");
        string chart = Repository.Read("docs", "scale.svg");
        Assert.True(chart == Chart.Draw(Stages()), $"docs/scale.svg is not what the stages come to. {Remedy}");
        Assert.Equal("svg", XDocument.Parse(chart).Root!.Name.LocalName);
        Assert.Contains("](scale.svg)", page, StringComparison.Ordinal);
    }

    private static StageTimes[] Stages()
    {
        return [.. Docs.StageFiles.Select(file => StageTimes.Read(Repository.Path("tools", "scale", "stages", file)))];
    }
}
