using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Ml.Tests.Policy;
using RlhfFunctions.Ml.Tests.Rollout;

namespace RlhfFunctions.Ml.Tests.Learning;

public class PolicyUpdateTests
{
    private const int BatchSize = 16;
    private static readonly GenerationSettings Generation = new() { MaxNewTokens = 8 };
    private static readonly PpoSettings Settings = new()
    {
        Steps = 25,
        BatchSize = BatchSize,
        MiniBatchSize = 8,
        Epochs = 3,
        LearningRate = 2e-2,
        FinalLearningRateShare = 0.2,
        MaxGradientNorm = 1,
        KlCoefficient = 0.02,
        KlHorizon = 100,
        ScaleScores = true,
    };

    [Fact]
    public void The_reward_goes_up()
    {
        var policy = TinyPolicy.Create(randomAdapter: false);
        using var state = TrainingState.Start(policy, new Ppo(Settings, new()));
        var rewards = Enumerable.Range(0, Settings.Steps).Select(_ => Step(policy, state).Metrics[MetricNames.RewardMean]).ToArray();

        var (early, late) = (rewards[..5].Average(), rewards[^5..].Average());
        Assert.True(late > 3 * early && late > 0.4, $"from {early} to {late}");
    }

    [Fact]
    public void A_restored_run_goes_on_exactly_like_an_uninterrupted_one()
    {
        var policy = TinyPolicy.Create();
        using var state = TrainingState.Start(policy, new Ppo(Settings, new()));
        Step(policy, state);
        Step(policy, state);
        var checkpoint = state.ToFiles();
        Step(policy, state);
        Step(policy, state);

        var otherPolicy = TinyPolicy.Create(randomAdapter: false);
        using var restored = TrainingState.Restore(otherPolicy, checkpoint);
        AssertSame(checkpoint, restored.ToFiles());
        Step(otherPolicy, restored);
        Step(otherPolicy, restored);
        AssertSame(state.ToFiles(), restored.ToFiles());

        static void AssertSame(IReadOnlyDictionary<string, byte[]> expected, IReadOnlyDictionary<string, byte[]> actual)
        {
            Assert.Equal(expected.Keys.Order(), actual.Keys.Order());
            Assert.All(expected, file => Assert.Equal(file.Value, actual[file.Key]));
        }
    }

    [Fact]
    public void A_checkpoint_of_another_model_is_refused_by_name()
    {
        var policy = TinyPolicy.Create();
        using var state = TrainingState.Start(policy, new Ppo(Settings, new()));
        var files = new Dictionary<string, byte[]>(state.ToFiles());
        files[TrainingState.ValueHeadFile] = files[TrainingState.OptimizerFile];
        Assert.Contains(ValueHead.WeightName, Refusal());
        files.Remove(TrainingState.ValueHeadFile);
        Assert.Contains(TrainingState.ValueHeadFile, Refusal());

        string Refusal() => Assert.Throws<InvalidDataException>(() => TrainingState.Restore(policy, files)).Message;
    }

    [Fact]
    public void Broken_or_exploding_mini_batches_move_nothing_and_are_counted()
    {
        foreach (var breaksBy in new[] { float.NaN, float.NegativeInfinity, -50 }) // the last: a ratio far above the threshold
        {
            var policy = TinyPolicy.Create();
            using var state = TrainingState.Start(policy, new Ppo(Settings, new()));
            var before = state.ToFiles();
            var samples = Collect(policy, state)
                .Select(sample => sample with { LogProbs = [.. sample.LogProbs.Select(logProb => logProb + breaksBy)] }).ToArray();
            var stats = Update(policy, state, samples, Settings);

            Assert.Equal(Settings.Epochs * BatchSize / Settings.MiniBatchSize, stats.Metrics[MetricNames.SkippedMiniBatches]);
            foreach (var file in new[] { TrainingState.AdapterFile, TrainingState.ValueHeadFile, TrainingState.OptimizerFile })
                Assert.Equal(before[file], state.ToFiles()[file]);
            Assert.All(stats.Metrics.Values, value => Assert.True(double.IsFinite(value)));
            Assert.Contains("ppo.alarms.maxRatio", stats.Alarm, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Gradients_are_clipped_at_every_step()
    {
        // Adam hardly notices a gradient's length, but its moments do: with a norm of at most c, √Σ exp_avg² stays below c.
        var policy = TinyPolicy.Create();
        var settings = Settings with { MaxGradientNorm = 1e-3 };
        using var state = TrainingState.Start(policy, new Ppo(settings, new()));
        Update(policy, state, Collect(policy, state), settings);
        Assert.Equal(6, state.Optimizer.Steps);
        var norm = Math.Sqrt(state.Optimizer.Means().Sum(mean => (double)mean.square().sum().item<float>()));
        Assert.InRange(norm, 1e-5, 1e-3);
    }

    [Fact]
    public void The_learning_rate_falls_linearly_to_its_share()
    {
        Assert.Equal(1, Adam.LearningRateShare(0, Settings));
        Assert.Equal(0.6, Adam.LearningRateShare(12, Settings), 1e-12);
        Assert.Equal(0.2, Adam.LearningRateShare(24, Settings), 1e-12);
        Assert.Equal(1, Adam.LearningRateShare(0, Settings with { Steps = 1 }));
    }

    [Fact]
    public void A_missing_end_of_text_costs_its_penalty_before_anything_else()
    {
        var settings = Settings with { ScaleScores = false, ScoreClip = 0.5, MissingEosPenalty = 1 };
        var policy = TinyPolicy.Create();
        using var state = TrainingState.Start(policy, new Ppo(settings, new()));
        var samples = Collect(policy, state).Select((sample, i) => sample with { Score = i % 2 == 0 ? 2 : 0.25f, HasEnded = i >= 4 }).ToArray();

        Assert.Equal([1, -0.75, 1, -0.75, 2, 0.25], Scores.Charged(samples, settings.MissingEosPenalty).Take(6));
        Assert.Equal([2, 0.25, 2, 0.25], Scores.Charged(samples, null).Take(4));
        var metrics = Update(policy, state, samples, settings).Metrics;
        Assert.Equal(0.75, metrics[MetricNames.EndedShare]);
        Assert.Equal((2 + 0.25) / 2, metrics[MetricNames.RewardMean], 1e-6); // what the reward said
        Assert.Equal(((2 * 0.5) - (2 * 0.5) + (6 * 0.5) + (6 * 0.25)) / 16, metrics[MetricNames.ScoreMean], 1e-6); // what is learned from
    }

    [Fact]
    public void Without_a_classifier_no_label_probability_is_reported()
    {
        var policy = TinyPolicy.Create();
        using var state = TrainingState.Start(policy, new Ppo(Settings, new()));
        var samples = Collect(policy, state).Select(sample => sample with { LabelProbability = null }).ToArray();
        Assert.DoesNotContain(MetricNames.LabelProbability, Update(policy, state, samples, Settings).Metrics.Keys);
    }

    [Fact]
    public void In_the_warm_up_only_the_value_head_moves()
    {
        var settings = Settings with { ValueWarmupSteps = 2 };
        var policy = TinyPolicy.Create();
        using var state = TrainingState.Start(policy, new Ppo(settings, new()));
        var checkpoints = new List<IReadOnlyDictionary<string, byte[]>> { state.ToFiles() };
        for (var step = 0; step < 3; step++)
        {
            Update(policy, state, Collect(policy, state), settings);
            checkpoints.Add(state.ToFiles());
        }

        for (var step = 0; step < 3; step++)
        {
            var (before, after) = (checkpoints[step], checkpoints[step + 1]);
            Assert.NotEqual(before[TrainingState.ValueHeadFile], after[TrainingState.ValueHeadFile]);
            Assert.Equal(step < 2, before[TrainingState.AdapterFile].SequenceEqual(after[TrainingState.AdapterFile]));
        }
        Assert.Equal(Settings.Epochs * BatchSize / Settings.MiniBatchSize, state.Optimizer.Steps); // of the third step alone
    }

    [Fact]
    public void A_run_measures_lengths_by_its_first_step_even_when_restored()
    {
        var settings = Settings with { Alarms = new() { MaxLengthDrift = 1.5 } };
        var policy = TinyPolicy.Create();
        using var state = TrainingState.Start(policy, new Ppo(settings, new()));
        var samples = Collect(policy, state);
        Assert.Null(Update(policy, state, samples, settings).Alarm);

        using var restored = TrainingState.Restore(policy, state.ToFiles());
        var shortened = samples.Select(sample => sample with
        {
            Response = sample.Response[..1],
            LogProbs = sample.LogProbs[..1],
            ReferenceLogProbs = sample.ReferenceLogProbs[..1],
            Values = sample.Values[..1],
            KlPenalties = sample.KlPenalties[..1],
        }).ToArray();
        Assert.Contains("maxLengthDrift", Update(policy, restored, shortened, settings).Alarm, StringComparison.Ordinal);
    }

    [Fact]
    public void Both_estimators_of_the_kl_are_reported()
    {
        var policy = TinyPolicy.Create();
        using var state = TrainingState.Start(policy, new Ppo(Settings, new()));
        var samples = Collect(policy, state);
        var metrics = Update(policy, state, samples, Settings).Metrics;
        var differences = samples.Select(sample => sample.LogProbs.Zip(sample.ReferenceLogProbs, (p, r) => (double)p - r).ToArray()).ToArray();
        Assert.Equal(differences.Average(row => row.Sum()), metrics[MetricNames.Kl], 1e-4);
        Assert.Equal(differences.Average(row => row.Sum(d => Math.Exp(-d) - 1 + d)), metrics[MetricNames.KlEstimator3], 1e-4);
    }

    [Fact]
    public void An_update_leaves_no_tensors_behind()
    {
        var policy = TinyPolicy.Create();
        using var state = TrainingState.Start(policy, new Ppo(Settings, new()));
        NoLeaks.In(() => Step(policy, state));
        NoLeaks.In(() => TrainingState.Restore(policy, state.ToFiles()).Dispose());
    }

    private static StepStats Step(TrainedPolicy policy, TrainingState state) => Update(policy, state, Collect(policy, state), Settings);

    private static IReadOnlyList<RolloutSample> Collect(TrainedPolicy policy, TrainingState state) => RolloutCollector.Collect(
        policy, TokenShareReward.Decode, new TokenShareReward(5), TinyPolicy.Prompts(BatchSize), new()
        {
            RunSeed = 1,
            Step = state.Step,
            FirstSample = 0,
            Generation = Generation,
            KlPenalty = Settings.KlPenalty,
            ScoringBatchSize = Settings.MiniBatchSize,
        }, CancellationToken.None);

    private static StepStats Update(
        TrainedPolicy policy, TrainingState state, IReadOnlyList<RolloutSample> samples, PpoSettings settings)
    {
        var order = PolicyUpdate.EpochOrder(1, state.Step);
        return PolicyUpdate.Run(policy, state, samples, new Ppo(settings, Generation), order, CancellationToken.None);
    }
}
