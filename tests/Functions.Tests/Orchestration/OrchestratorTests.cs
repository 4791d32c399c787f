using DurableTask.Core;
using RlhfFunctions.Contracts;
using RlhfFunctions.Orchestration;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Orchestration;

/// <summary>Every orchestrator on the real engine: an activity that fails, one that is delivered twice, and a restart after each event.</summary>
public sealed class OrchestratorTests(AzuriteFixture azurite)
{
    private const int Steps = 10; // more than a generation
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static RlhfRunState Request => new()
    {
        RunId = "run",
        Sources = new ModelSources("file:base", ["file:reward", "file:reward"], "file:judge", ModelPrecision.Nf4),
        Steps = Steps,
        Shards = 2,
    };

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_run_does_its_steps_in_order_also_where_everything_is_delivered_twice(bool twice)
    {
        await using var engine = Scripted(new Engine(azurite.ConnectionString) { DeliversTwice = twice });
        await engine.StartAsync();
        var outcome = await OutcomeAsync(engine, Request);

        Assert.Equal(Steps, outcome.Steps);
        Assert.Equal("models/base", outcome.Prepared.Base);
        Assert.Equal(["models/reward", "models/reward"], outcome.Prepared.Rewards);
        Assert.Equal("models/judge", outcome.Prepared.Judge);
        Assert.Equal("dataset", outcome.Prepared.Dataset);
        Assert.Equal(3, engine.Calls.Where(call => call.Name == FunctionNames.PrepareModel).Select(call => call.Input).Distinct().Count());
        Assert.Equal(Enumerable.Range(0, Steps), InputsOf<PpoUpdateInput>(engine).Select(update => update.Step).Distinct());
        Assert.Equal([0, Steps], InputsOf<EvaluateInput>(engine).Select(evaluation => evaluation.Step).Distinct());
        Assert.Equal(
            Enumerable.Range(0, Steps).SelectMany(step => new[] { (step, 0), (step, 1) }),
            InputsOf<RolloutShardInput>(engine).Select(shard => (shard.Step, shard.Shard)).Distinct().Order());
        Assert.All(InputsOf<PpoUpdateInput>(engine), update => Assert.Equal([$"{update.Step}/0", $"{update.Step}/1"], update.Shards.Select(shard => shard.Path)));
        // Three models, adapter, dataset, two evaluations, the publication; two shards and an update a step.
        Assert.Equal((8 + (3 * Steps)) * (twice ? 2 : 1), engine.Calls.Count);
    }

    [Fact]
    public async Task Preferences_are_scored_once_and_nothing_is_rolled_out()
    {
        await using var engine = Scripted(new Engine(azurite.ConnectionString));
        engine.Activity<ScorePreferencesInput>(FunctionNames.ScorePreferences, input => new RolloutShardResult($"preferences/{input.Shard}", 10, 1, 1));
        await engine.StartAsync();
        Assert.Equal(Steps, (await OutcomeAsync(engine, Request with { LearnsFromPreferences = true })).Steps);

        Assert.Equal([0, 1], InputsOf<ScorePreferencesInput>(engine).Select(input => input.Shard).Order());
        Assert.All(InputsOf<PpoUpdateInput>(engine), update => Assert.Equal(["preferences/0", "preferences/1"], update.Shards.Select(shard => shard.Path)));
        Assert.Empty(InputsOf<RolloutShardInput>(engine));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_update_in_shards_is_a_fan_out_for_every_step_of_the_optimizer(bool twice)
    {
        // Two rollouts, three times four gradients and their sum, the update: 18 activities a step, so that generations end within steps.
        await using var engine = Sharded(Scripted(new Engine(azurite.ConnectionString) { DeliversTwice = twice }, update => Report(update) with { ActivitySeconds = 2 }));
        await engine.StartAsync();
        Assert.Equal(3, (await OutcomeAsync(engine, Request with { Steps = 3, UpdateShards = 4 })).Steps);

        var numbers = Enumerable.Range(0, 3).SelectMany(step => Enumerable.Range(0, 3).Select(number => (step, number))).ToArray();
        Assert.Equal(numbers, InputsOf<OptimizerStepInput>(engine).Select(input => (input.Step, input.Number)).Distinct());
        Assert.All(InputsOf<OptimizerStepInput>(engine), input => Assert.Equal((4, "models/base"), (input.GradientSeconds, input.BaseModel))); // the slowest's
        Assert.Equal(
            numbers.SelectMany(at => Enumerable.Range(0, 4).Select(shard => (at.step, at.number, shard))),
            InputsOf<GradientShardInput>(engine).Select(input => (input.Step, input.OptimizerStep, input.Shard)).Distinct().Order());
        var calls = engine.Calls.Select(call => call.Input).ToList();
        Assert.All(InputsOf<OptimizerStepInput>(engine), input => Assert.True(
            calls.FindLastIndex(call => call is GradientShardInput gradient && (gradient.Step, gradient.OptimizerStep) == (input.Step, input.Number)) < calls.IndexOf(input)));
        Assert.All(InputsOf<PpoUpdateInput>(engine), update => Assert.Equal(3, update.OptimizerSteps));
        Assert.Equal(6, InputsOf<RolloutShardInput>(engine).Select(input => (input.Step, input.Shard)).Distinct().Count());

        var published = InputsOf<PublishAdapterInput>(engine).First();
        Assert.Equal((3 * ((3 * (4 + 1)) + 2), 3 * ((3 * (1 + 2 + 3 + 4 + 1)) + 2)), (published.Timings.Update, published.Usage.UpdateSeconds));
    }

    [Fact]
    public async Task A_gradient_that_is_broken_takes_the_run_back_to_its_last_whole_checkpoint()
    {
        bool isBroken = true;
        await using var engine = Sharded(Scripted(new Engine(azurite.ConnectionString)));
        engine.Activity<OptimizerStepInput>(FunctionNames.OptimizerStep, input =>
        {
            if (!isBroken || (input.Step, input.Number) != (1, 1)) return new OptimizerStepResult(input.Number == 2, 1);
            isBroken = false;
            throw new CorruptArtifactException("runs/run/steps/00001/update/00001/gradients/002/manifest.json", "is missing");
        });
        engine.Activity<RepairRunInput>(FunctionNames.RepairRun, repair => repair.Step);
        await engine.StartAsync();
        Assert.Equal(2, (await OutcomeAsync(engine, Request with { Steps = 2, UpdateShards = 4 })).Steps);
        Assert.Equal([0, 1, 2, 0, 1, 0, 1, 2], InputsOf<OptimizerStepInput>(engine).Select(input => input.Number));
        Assert.Equal(6, InputsOf<RolloutShardInput>(engine).Count()); // those of step 1 are looked up once more
    }

    [Fact]
    public async Task A_run_whose_engine_is_restarted_again_and_again_ends_as_if_nothing_had_happened()
    {
        await using var engine = Scripted(new Engine(azurite.ConnectionString) { Visibility = TimeSpan.FromSeconds(1) });
        await engine.StartAsync();
        string id = await engine.BeginAsync(FunctionNames.RlhfRun, Request with { Steps = 4 });
        for (int seen = 0; seen < 20; seen = engine.Calls.Count) // of the 20 calls that four steps take, some are made again
        {
            int next = seen + Random.Shared.Next(1, 4);
            for (var deadline = DateTime.UtcNow + Patience; engine.Calls.Count < next && await engine.WaitAsync(id, TimeSpan.FromMilliseconds(1)) is null;)
                Assert.True(DateTime.UtcNow < deadline, $"Nothing happened after {seen} calls.");
            await Task.Delay(Random.Shared.Next(20)); // before, while or after the orchestration hears of it
            await engine.RestartAsync();
        }

        var state = await engine.WaitAsync(id, Patience);
        Assert.Equal(OrchestrationStatus.Completed, state!.OrchestrationStatus);
        Assert.Equal(4, Engine.Read<RunOutcome>(state.Output).Steps);
        Assert.Equal([0, 1, 2, 3], InputsOf<PpoUpdateInput>(engine).Select(update => update.Step).Distinct());
    }

    /// <summary>The rule: all are taken, and their activities are served in the order in which they come, so that none waits for another's end.</summary>
    [Fact]
    public Task Runs_posted_at_once_are_served_side_by_side_and_all_finish()
    {
        return FinishAsync(count: 10);
    }

    [Fact]
    [Trait("Category", "Slow")]
    public Task A_hundred_runs_posted_at_once_all_finish()
    {
        return FinishAsync(count: 100);
    }

    private async Task FinishAsync(int count)
    {
        await using var engine = Scripted(new Engine(azurite.ConnectionString));
        await engine.StartAsync();
        string[] ids = await Task.WhenAll(Enumerable.Range(0, count).Select(_ => engine.BeginAsync(FunctionNames.RlhfRun, Request with { Steps = 1 })));
        var ends = await Task.WhenAll(ids.Select(id => engine.WaitAsync(id, TimeSpan.FromMinutes(8))));
        Assert.All(ends, end => Assert.Equal(OrchestrationStatus.Completed, end?.OrchestrationStatus));
        Assert.True(InputsOf<PublishAdapterInput>(engine).Count() >= count);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_finished_run_has_it_told_once(bool twice)
    {
        await using var engine = Scripted(new Engine(azurite.ConnectionString) { DeliversTwice = twice }, update => Report(update) with { Alarm = "too far" });
        await engine.StartAsync();
        Assert.Equal(1, (await OutcomeAsync(engine, Request with { Notifies = true })).Steps);
        var notice = Assert.Single(InputsOf<RunNotice>(engine).Distinct());
        Assert.Equal(("run", RunEnd.Finished, "too far"), (notice.RunId, notice.End, notice.Reason));
    }

    [Fact]
    public async Task A_failed_run_has_it_told_and_fails_as_it_did_also_where_that_fails()
    {
        await using var engine = Scripted(new Engine(azurite.ConnectionString), _ => throw new InvalidInputException("Column x is missing."));
        engine.Activity<RunNotice>(FunctionNames.BeginNotice, _ => throw new InvalidInputException("No engine."));
        await engine.StartAsync();
        var state = await EndAsync(engine, Request with { Notifies = true });
        Assert.Equal(OrchestrationStatus.Failed, state.OrchestrationStatus);
        Assert.Contains("Column x is missing.", state.Output, StringComparison.Ordinal);
        var notice = Assert.Single(InputsOf<RunNotice>(engine));
        Assert.Equal((RunEnd.Failed, "PpoUpdate: Column x is missing."), (notice.End, notice.Reason));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("This app may not call nobody.")]
    public async Task What_comes_of_a_notice_is_noted(string? fault)
    {
        await using var engine = Scripted(new Engine(azurite.ConnectionString));
        engine.Activity<RunNotice>(FunctionNames.SendNotice, _ => fault is null ? true : throw new InvalidInputException(fault));
        await engine.StartAsync();
        var notice = new RunNotice("id", "run", RunEnd.Cancelled, DateTimeOffset.UnixEpoch, "enough");
        var state = await engine.WaitAsync(await engine.BeginAsync(FunctionNames.Notification, notice), Patience);
        Assert.Equal((OrchestrationStatus.Completed, fault is null), (state!.OrchestrationStatus, Engine.Read<bool>(state.Output)));
        Assert.Equal(new NotedNotice(notice, fault), Assert.Single(InputsOf<NotedNotice>(engine)));
        Assert.Single(InputsOf<RunNotice>(engine)); // what is refused for good is not tried again
    }

    [Fact]
    public async Task A_passing_fault_is_tried_again()
    {
        int calls = 0;
        await using var engine = Scripted(new Engine(azurite.ConnectionString), update => ++calls == 2 ? throw new HttpRequestException("The service was away.") : Report(update));
        await engine.StartAsync();
        Assert.Equal(Steps, (await OutcomeAsync(engine, Request)).Steps);
        Assert.Equal(Steps + 1, calls);
    }

    [Fact]
    public async Task Wrong_input_fails_the_run_at_once_and_says_why()
    {
        int calls = 0;
        await using var engine = Scripted(new Engine(azurite.ConnectionString), update => ++calls == 3 ? throw new InvalidInputException("Column x is missing.") : Report(update));
        await engine.StartAsync();
        var state = await EndAsync(engine, Request);
        Assert.Equal(OrchestrationStatus.Failed, state.OrchestrationStatus);
        Assert.Contains("Column x is missing.", state.Output, StringComparison.Ordinal);
        Assert.Equal(3, calls);
    }

    [Fact]
    public async Task A_broken_artefact_takes_the_run_back_to_its_last_whole_checkpoint()
    {
        bool isBroken = true;
        await using var engine = Scripted(new Engine(azurite.ConnectionString), update =>
        {
            if (update.Step != 6 || !isBroken) return Report(update);
            isBroken = false;
            throw new CorruptArtifactException("runs/run/checkpoints/00006/adapter", "is missing");
        });
        engine.Activity<RepairRunInput>(FunctionNames.RepairRun, repair => repair.Step - 2);
        await engine.StartAsync();
        Assert.Equal(Steps, (await OutcomeAsync(engine, Request)).Steps);
        var repair = Assert.Single(InputsOf<RepairRunInput>(engine));
        Assert.Equal(("run", 6), (repair.RunId, repair.Step));
        Assert.Contains("00006", repair.Reason, StringComparison.Ordinal);
        Assert.Equal([0, 1, 2, 3, 4, 5, 6, 4, 5, 6, 7, 8, 9], InputsOf<PpoUpdateInput>(engine).Select(update => update.Step));
    }

    [Fact]
    public async Task A_run_that_had_ended_goes_on_from_its_last_whole_checkpoint()
    {
        await using var engine = Scripted(new Engine(azurite.ConnectionString));
        engine.Activity<RepairRunInput>(FunctionNames.RepairRun, repair => repair.Step - 1);
        await engine.StartAsync();
        Assert.Equal(Steps, (await OutcomeAsync(engine, Request with { Step = 7, IsRestarted = true })).Steps);
        Assert.Equal(new RepairRunInput("run", 7), Assert.Single(InputsOf<RepairRunInput>(engine)));
        Assert.Equal([6, 7, 8, 9], InputsOf<PpoUpdateInput>(engine).Select(update => update.Step));
    }

    [Theory]
    [InlineData(null, Steps)]
    [InlineData("too far", 5)]
    public async Task What_is_found_broken_after_the_last_step_costs_no_step_and_no_alarm(string? alarm, int steps)
    {
        bool isBroken = true;
        await using var engine = Scripted(new Engine(azurite.ConnectionString), update => Report(update) with { Alarm = update.Step == 4 ? alarm : null });
        engine.Activity<EvaluateInput>(FunctionNames.Evaluate, input =>
        {
            if (input.Step == 0 || !isBroken) return new EvaluateResult($"{input.Step}", 0.5, 0.5, 1);
            isBroken = false;
            throw new CorruptArtifactException("runs/run/dataset", "is missing");
        });
        engine.Activity<RepairRunInput>(FunctionNames.RepairRun, repair => repair.Step);
        await engine.StartAsync();
        Assert.Equal(steps, (await OutcomeAsync(engine, Request)).Steps);
        Assert.Equal(alarm, Assert.Single(InputsOf<PublishAdapterInput>(engine)).Alarm);
        Assert.Equal(Enumerable.Range(0, steps), InputsOf<PpoUpdateInput>(engine).Select(update => update.Step));
    }

    [Fact]
    public async Task An_artefact_that_stays_broken_fails_the_run_and_is_named()
    {
        await using var engine = Scripted(
            new Engine(azurite.ConnectionString), update => update.Step < 2 ? Report(update) : throw new CorruptArtifactException("models/base/weights", "has another SHA-256"));
        engine.Activity<RepairRunInput>(FunctionNames.RepairRun, repair => repair.Step);
        await engine.StartAsync();
        var state = await EndAsync(engine, Request);
        Assert.Equal(OrchestrationStatus.Failed, state.OrchestrationStatus);
        Assert.Contains("models/base/weights", state.Output, StringComparison.Ordinal);
        Assert.Equal(3, InputsOf<RepairRunInput>(engine).Count());
    }

    [Theory]
    [InlineData(3, 3)]
    [InlineData(null, 0)]
    public async Task A_run_whose_reward_is_exploited_stops_and_publishes_its_best_checkpoint(int? best, int published)
    {
        bool isBroken = true;
        await using var engine = Scripted(
            new Engine(azurite.ConnectionString) { DeliversTwice = true }, update => Report(update) with { Best = best, Hack = update.Step == 5 ? "exploited" : null });
        engine.Activity<RepairRunInput>(FunctionNames.RepairRun, repair => repair.Needed!.Value);
        engine.Activity<EvaluateInput>(FunctionNames.Evaluate, input =>
        {
            if (input.Step != published || input.Step == 0 || !isBroken) return new EvaluateResult($"{input.Step}", 0.5, 0.5, 1);
            isBroken = false;
            throw new CorruptArtifactException("runs/run/checkpoints/00003/adapter", "is missing");
        });
        await engine.StartAsync();
        var outcome = await OutcomeAsync(engine, Request with { Limits = new RunLimits { MaxHours = 1000 } });
        Assert.Equal(6, outcome.Steps);
        Assert.Equal(published, InputsOf<EvaluateInput>(engine).Last().Step);
        Assert.All(InputsOf<PublishAdapterInput>(engine), input => Assert.Equal((6, "exploited", published, null), (input.Steps, input.Hack, input.Chosen, input.Alarm)));
        Assert.All(InputsOf<RepairRunInput>(engine), repair => Assert.Equal(published, repair.Needed));
    }

    [Fact]
    public async Task An_alarm_ends_the_run_after_the_step_that_raised_it()
    {
        await using var engine = Scripted(new Engine(azurite.ConnectionString), update => Report(update) with { Alarm = update.Step == 4 ? "too far" : null });
        await engine.StartAsync();
        Assert.Equal(5, (await OutcomeAsync(engine, Request)).Steps);
        Assert.Equal("too far", Assert.Single(InputsOf<PublishAdapterInput>(engine)).Alarm);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_a_run_may_cost_ends_it_after_the_step_that_reached_it(bool twice)
    {
        // 2 + 2 s of rollouts and 100 s of update a step, 1 s of measuring, and less than 187 s of preparing; at 1 EUR a second.
        await using var engine = Scripted(
            new Engine(azurite.ConnectionString) { DeliversTwice = twice }, update => Report(update) with { ActivitySeconds = 100 });
        await engine.StartAsync();
        var outcome = await OutcomeAsync(engine, Request with { Limits = new RunLimits { MaxCost = 300 }, Price = new Price(3600, "EUR") });

        Assert.Equal(3, outcome.Steps);
        var published = InputsOf<PublishAdapterInput>(engine).First();
        Assert.Matches(@"^It has cost 3\d\d EUR, and limits\.maxCost is 300\.$", published.Limit);
        Assert.Null(published.Alarm);
        Assert.Equal((12, 300, 2, 60), (published.Usage.RolloutSeconds, published.Usage.UpdateSeconds, published.Usage.EvaluateSeconds, published.Usage.ResponseTokens));
    }

    [Theory]
    [InlineData(2.0, 1)]
    [InlineData(4.0, Steps)]
    public async Task Hours_count_from_the_runs_beginning_also_where_it_was_continued(double maxHours, int steps)
    {
        await using var engine = Scripted(new Engine(azurite.ConnectionString));
        await engine.StartAsync();
        var began = Request with { StartedAt = DateTime.UtcNow.AddHours(-3), Limits = new RunLimits { MaxHours = maxHours } };
        Assert.Equal(steps, (await OutcomeAsync(engine, began)).Steps);
        Assert.Equal(steps < Steps ? "It has taken 3 hours, and limits.maxHours is 2." : null, Assert.Single(InputsOf<PublishAdapterInput>(engine)).Limit);
    }

    [Fact]
    public async Task A_limit_that_is_reached_by_the_last_step_stops_nothing()
    {
        await using var engine = Scripted(new Engine(azurite.ConnectionString));
        await engine.StartAsync();
        await OutcomeAsync(engine, Request with { Steps = 1, Limits = new RunLimits { MaxHours = 1e-6 } });
        Assert.Null(Assert.Single(InputsOf<PublishAdapterInput>(engine)).Limit);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_nightly_evaluation_and_the_summaries_hand_on_what_their_activity_says(bool twice)
    {
        int faults = 0;
        await using var engine = Scripted(new Engine(azurite.ConnectionString) { DeliversTwice = twice, Visibility = TimeSpan.FromSeconds(1) });
        engine.Orchestrator<NightlyEvaluationInput, NightlyResult>(FunctionNames.NightlyEvaluation, NightlyEvaluation.Run);
        engine.Orchestrator<SummarizeDialoguesInput, string>(FunctionNames.SummarizeDialogues, SummarizeDialogues.Run!);
        engine.Activity<NightlyEvaluationInput>(FunctionNames.EvaluateLatest, input => input.Date == "none" ? null : new NightlyResult("run", new EvaluateResult(input.Date, 0.25, 0.5, 1), null));
        engine.Activity<NightlyEvaluationInput>(FunctionNames.SweepStorage, _ => 3);
        engine.Activity<SummarizeDialoguesInput>(FunctionNames.WriteSummaries, input => ++faults == 1 ? throw new IOException("Away.") : $"summaries/{input.Blob}.json");
        await engine.StartAsync();

        string[] ids =
        [
            await engine.BeginAsync(FunctionNames.NightlyEvaluation, new NightlyEvaluationInput("2026-01-01")),
            await engine.BeginAsync(FunctionNames.NightlyEvaluation, new NightlyEvaluationInput("none")),
            await engine.BeginAsync(FunctionNames.SummarizeDialogues, new SummarizeDialoguesInput("a.csv", "etag")),
        ];
        await engine.RestartAsync();
        var states = await Task.WhenAll(ids.Select(id => engine.WaitAsync(id, Patience)));
        Assert.All(states, state => Assert.Equal(OrchestrationStatus.Completed, state?.OrchestrationStatus));
        Assert.Equal(new EvaluateResult("2026-01-01", 0.25, 0.5, 1), Engine.Read<NightlyResult>(states[0]!.Output).Measured);
        Assert.Equal(2, engine.Calls.Where(call => call.Name == FunctionNames.SweepStorage).Select(call => call.Input).Distinct().Count());
        Assert.Equal("null", states[1]!.Output ?? "null");
        Assert.Equal("summaries/a.csv.json", Engine.Read<string>(states[2]!.Output));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_campaigns_pairs_are_generated_part_by_part_also_where_everything_is_delivered_twice(bool twice)
    {
        int faults = 0;
        await using var engine = Scripted(new Engine(azurite.ConnectionString) { DeliversTwice = twice });
        engine.Orchestrator<CampaignState, int>(FunctionNames.Campaign, Campaign.Run);
        engine.Activity<GeneratePairsInput>(FunctionNames.GeneratePairs, input =>
            input.Shard == 1 && ++faults == 1 ? throw new IOException("Away.") : input.Shard < 2 ? GeneratePairsInput.ShardSize : 50);
        await engine.StartAsync();
        string[] ids =
        [
            await engine.BeginAsync(FunctionNames.Campaign, new CampaignState("votes", "file:base", Pairs: 250, "file:reward")),
            await engine.BeginAsync(FunctionNames.Campaign, new CampaignState("plain", "file:base", Pairs: 100, UncertainBy: null)),
        ];
        var states = await Task.WhenAll(ids.Select(id => engine.WaitAsync(id, Patience)));
        Assert.Equal(["250", "100"], states.Select(state => state?.Output));
        Assert.Equal([0, 1, 2], InputsOf<GeneratePairsInput>(engine).Where(input => input.CampaignId == "votes").Select(input => input.Shard).Distinct());
        Assert.All(InputsOf<GeneratePairsInput>(engine), input =>
            Assert.Equal(("models/base", input.CampaignId == "votes" ? "models/reward" : null), (input.BaseModel, input.Reward)));
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, true)]
    public async Task Reward_models_are_trained_chunk_after_chunk_side_by_side_and_the_first_is_published_last(int seeds, bool twice)
    {
        const int Folds = 2;
        int faults = 0;
        await using var engine = Scripted(new Engine(azurite.ConnectionString) { DeliversTwice = twice });
        engine.Orchestrator<RewardState, RewardOutcome>(FunctionNames.RewardModel, RewardModel.Run!);
        engine.Activity<CollectPreferencesInput>(FunctionNames.CollectPreferences, _ => 40);
        engine.Activity<TrainRewardInput>(FunctionNames.TrainReward, input => input is { Fold: 1, Chunk: 1 } && ++faults == 1
            ? throw new IOException("Away.")
            : new TrainRewardResult(Math.Min(100 * (input.Chunk + 1), StepsOf(input)), StepsOf(input), 0.5));
        engine.Activity<PublishRewardInput>(FunctionNames.PublishReward, input => new RewardOutcome(input.RewardId, $"models/{input.Member}", "better", Report()));
        await engine.StartAsync();
        string id = await engine.BeginAsync(FunctionNames.RewardModel, new RewardState("taste", "file:base", Folds, seeds));
        var state = await engine.WaitAsync(id, Patience);

        Assert.True(state?.OrchestrationStatus == OrchestrationStatus.Completed, state?.Output);
        Assert.Equal("models/0", Engine.Read<RewardOutcome>(state!.Output).Model);
        Assert.Equal(new RewardProgress(650 * seeds, 650 * seeds), Engine.Read<RewardProgress>(state.Status));
        Assert.Single(InputsOf<CollectPreferencesInput>(engine).Distinct());
        foreach (int member in Enumerable.Range(0, seeds))
        {
            foreach (int? fold in new int?[] { 0, 1, null })
            {
                var chunks = InputsOf<TrainRewardInput>(engine).Where(input => (input.Member, input.Fold) == (member, fold)).Select(input => input.Chunk);
                Assert.Equal(Enumerable.Range(0, fold is null ? 3 : 2), chunks.Distinct());
            }
        }

        var published = InputsOf<PublishRewardInput>(engine).DistinctBy(input => input.Member).ToArray();
        Assert.Equal(Enumerable.Range(0, seeds).Reverse(), published.Select(input => input.Member));
        Assert.All(published, input => Assert.Equal(Enumerable.Repeat("2 2 3", seeds), input.Chunks.Select(chunks => string.Join(' ', chunks))));

        static int StepsOf(TrainRewardInput input) => input.Fold is null ? 250 : 200;

        static RewardReport Report()
        {
            var share = new MetricSummary(0.9, 0.3, 0.8, 1, 10);
            return new RewardReport
            {
                Comparisons = 10,
                Decided = 10,
                Accuracy = share,
                ShorterAccuracy = share,
                LeadOverShorter = share,
                Brier = 0.1,
                CalibrationError = 0,
                Reliability = [],
                LengthCorrelation = 0,
            };
        }
    }

    private static Engine Scripted(Engine engine, Func<PpoUpdateInput, StepReport>? update = null)
    {
        engine.Orchestrator<RlhfRunState, RunOutcome>(FunctionNames.RlhfRun, RlhfRun.Run);
        engine.Orchestrator<RunNotice, bool>(FunctionNames.Notification, Notification.Run);
        engine.Activity<RunNotice>(FunctionNames.BeginNotice, _ => null);
        engine.Activity<NotedNotice>(FunctionNames.NoteNotice, _ => null);
        engine.Activity<PrepareModelInput>(FunctionNames.PrepareModel, input => input.Source.Replace("file:", "models/", StringComparison.Ordinal));
        engine.Activity<PrepareAdapterInput>(FunctionNames.PrepareAdapter, _ => "checkpoint");
        engine.Activity<PrepareDatasetInput>(FunctionNames.PrepareDataset, _ => "dataset");
        engine.Activity<EvaluateInput>(FunctionNames.Evaluate, input => new EvaluateResult($"{input.Step}", 0.5, 0.5, 1));
        engine.Activity<RolloutShardInput>(FunctionNames.RolloutShard, input => new RolloutShardResult($"{input.Step}/{input.Shard}", 10, 1, 2));
        engine.Activity<PpoUpdateInput>(FunctionNames.PpoUpdate, update ?? Report);
        engine.Activity<PublishAdapterInput>(FunctionNames.PublishAdapter, input => new RunOutcome(input.RunId, 0.5, 0.1, true, input.Prepared, input.Steps) { Alarm = input.Alarm, Limit = input.Limit });
        return engine;
    }

    private static Engine Sharded(Engine engine)
    {
        engine.Activity<GradientShardInput>(FunctionNames.GradientShard, input => new GradientShardResult(input.Shard + 1));
        engine.Activity<OptimizerStepInput>(FunctionNames.OptimizerStep, input => new OptimizerStepResult(input.Number == 2, 1));
        return engine;
    }

    private static StepReport Report(PpoUpdateInput update)
    {
        return new StepReport(update.Step, 1, 0.5, 0.2, 0.4, 20, 1000);
    }

    private static IEnumerable<T> InputsOf<T>(Engine engine)
    {
        return engine.Calls.Select(call => call.Input).OfType<T>();
    }

    private static async Task<OrchestrationState> EndAsync(Engine engine, RlhfRunState request)
    {
        var state = await engine.WaitAsync(await engine.BeginAsync(FunctionNames.RlhfRun, request), Patience);
        Assert.True(state is not null, $"The run did not end. Calls: {string.Join(", ", engine.Calls)}");
        return state;
    }

    private static async Task<RunOutcome> OutcomeAsync(Engine engine, RlhfRunState request)
    {
        var state = await EndAsync(engine, request);
        Assert.True(state.OrchestrationStatus == OrchestrationStatus.Completed, state.Output);
        return Engine.Read<RunOutcome>(state.Output);
    }
}
