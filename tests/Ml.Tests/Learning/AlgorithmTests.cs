using CsCheck;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Ml.Tests.Policy;
using RlhfFunctions.Ml.Tests.Rollout;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Learning;

/// <summary>What holds for every algorithm, and the worked numbers of each.</summary>
public sealed class AlgorithmTests
{
    private const int BatchSize = 16, Group = 4;
    internal static readonly GenerationSettings Generation = new() { MaxNewTokens = 8 };

    private static readonly TrainingSettings Common = new GrpoSettings
    {
        Steps = 20,
        BatchSize = BatchSize,
        MiniBatchSize = 8,
        LearningRate = 2e-2,
        GroupSize = Group,
    };

    public static TheoryData<TrainingSettings> All =>
    [
        new PpoSettings { Steps = 20, BatchSize = BatchSize, MiniBatchSize = 8, LearningRate = 2e-2, KlCoefficient = 0.02, ScaleScores = true, MaxGradientNorm = 1 },
        Common,
        (GrpoSettings)Common with { Loss = LossReduction.DrGrpo, ScaleRewards = AdvantageScale.None, KlCoefficient = 0.02, Epochs = 2, DropEqualGroups = true },
        (GrpoSettings)Common with { Ratio = RatioLevel.Sequence, Loss = LossReduction.Grpo, ScaleRewards = AdvantageScale.Batch },
        new RlooSettings { Steps = 20, BatchSize = BatchSize, MiniBatchSize = 8, LearningRate = 2e-2, GroupSize = Group },
        new DpoSettings { Steps = 20, BatchSize = BatchSize, MiniBatchSize = 8, LearningRate = 1e-2 },
    ];

    [Theory]
    [MemberData(nameof(All))]
    public void The_policy_learns(TrainingSettings settings)
    {
        var algorithm = Algorithm.Of(settings, Generation);
        var policy = Policy(algorithm);
        using var state = TrainingState.Start(policy, algorithm);
        var metric = algorithm.Samples ? MetricNames.RewardMean : MetricNames.PreferenceMargin;
        var numbers = Enumerable.Range(0, settings.Steps).Select(_ => Step(policy, state, algorithm).Metrics[metric]).ToArray();
        var (early, late) = (numbers[..4].Average(), numbers[^4..].Average());
        Assert.True(late > 2 * early && late > 0.15, $"{settings.Section}: from {early} to {late}");
    }

    [Theory]
    [MemberData(nameof(All))]
    public void A_restored_run_goes_on_exactly_like_an_uninterrupted_one(TrainingSettings settings)
    {
        var algorithm = Algorithm.Of(settings, Generation);
        var policy = Policy(algorithm);
        using var state = TrainingState.Start(policy, algorithm);
        Step(policy, state, algorithm);
        var checkpoint = state.ToFiles();
        Assert.Equal(algorithm.HasValueHead, checkpoint.ContainsKey(TrainingState.ValueHeadFile));
        Step(policy, state, algorithm);

        var other = Policy(algorithm);
        using var restored = TrainingState.Restore(other, checkpoint);
        Step(other, restored, algorithm);
        Assert.Equal(state.ToFiles().Keys.Order(), restored.ToFiles().Keys.Order());
        Assert.All(state.ToFiles(), file => Assert.Equal(file.Value, restored.ToFiles()[file.Key]));
    }

    [Theory]
    [MemberData(nameof(All))]
    public void A_step_leaves_no_tensors_behind(TrainingSettings settings)
    {
        var algorithm = Algorithm.Of(settings, Generation);
        var policy = Policy(algorithm);
        using var state = TrainingState.Start(policy, algorithm);
        NoLeaks.In(() => Step(policy, state, algorithm));
    }

    [Fact]
    public void A_loss_does_not_depend_on_how_its_step_is_cut() => Gen.Select(
        Gen.Double[-5, 5].Array[24], Gen.Int[1, 4].Array[6], Gen.Int[1, 6]).Sample((x, lengths, perMiniBatch) =>
    {
        using var scope = NewDisposeScope();
        var losses = tensor(x).view(6, 4);
        var isToken = tensor(lengths.SelectMany(length => Enumerable.Range(0, 4).Select(t => t < length)).ToArray()).view(6, 4);
        foreach (var reduction in new[] { LossReduction.Grpo, LossReduction.DrGrpo, LossReduction.Dapo })
            Assert.Equal(Sum(6, rows => Aggregate.Share(losses[rows], isToken[rows], reduction, Whole(6), 4)),
                Sum(perMiniBatch, rows => Aggregate.Share(losses[rows], isToken[rows], reduction, Whole(perMiniBatch), 4)), 1e-9);
        Assert.Equal(x.Average(), Sum(perMiniBatch, rows => Aggregate.Share(losses[rows].sum(1) / 4, Whole(perMiniBatch))), 1e-9);

        WholeStep Whole(int size) => new(6, lengths.Sum(), (6 + size - 1) / size);

        double Sum(int size, Func<TensorIndex, Tensor> share) => Enumerable.Range(0, 6).Chunk(size)
            .Sum(rows => share(TensorIndex.Slice(rows[0], rows[^1] + 1)).item<double>());
    });

    [Fact]
    public void Each_reduction_has_its_worked_number()
    {
        using var scope = NewDisposeScope();
        var losses = tensor(new double[,] { { 1, 2, 3 }, { 4, 99, 99 } });
        var isToken = tensor(new[,] { { true, true, true }, { true, false, false } });
        var whole = new WholeStep(4, 8, 2); // another mini-batch of 2 responses and 4 tokens
        Assert.Equal((2 + 4) / 4.0, Aggregate.Share(losses, isToken, LossReduction.Grpo, whole, 5).item<double>());
        Assert.Equal(10 / 4.0 / 2, Aggregate.Share(losses, isToken, LossReduction.Bnpo, whole, 5).item<double>());
        Assert.Equal(10 / (4.0 * 5), Aggregate.Share(losses, isToken, LossReduction.DrGrpo, whole, 5).item<double>());
        Assert.Equal(10 / 8.0, Aggregate.Share(losses, isToken, LossReduction.Dapo, whole, 5).item<double>());
    }

    [Fact]
    public void Advantages_of_groups_have_their_worked_numbers()
    {
        double[] scores = [1, 3, 5, 5];
        double[] none = [-1, 1, 0, 0];
        Assert.Equal(none, GroupAdvantages.Relative(scores, 2, AdvantageScale.None));
        Assert.Equal(-1 / (Math.Sqrt(2) + 1e-4), GroupAdvantages.Relative(scores, 2, AdvantageScale.Group)[0], 1e-12);
        Assert.Equal(0, GroupAdvantages.Relative(scores, 2, AdvantageScale.Group)[2]);
        var batch = Math.Sqrt((6.25 + 0.25 + 2.25 + 2.25) / 3); // of 1, 3, 5, 5 around 3.5
        Assert.Equal(-1 / (batch + 1e-4), GroupAdvantages.Relative(scores, 2, AdvantageScale.Batch)[0], 1e-12);
        Assert.Equal([1 - (13 / 3.0), 3 - (11 / 3.0), 2, 2], GroupAdvantages.LeaveOneOut(scores, 4), (a, b) => Math.Abs(a - b) < 1e-12);
        Assert.Equal([1], GroupAdvantages.Equal(scores, 2));
        Assert.Equal(0, GroupAdvantages.Normalized(scores).Sum(), 1e-12);
    }

    [Theory]
    [InlineData(10, 0)]
    [InlineData(12, 0)]
    [InlineData(14, 1)] // half of the buffer
    [InlineData(16, 2)]
    public void A_response_is_charged_for_what_it_has_in_the_buffer(int length, double charge) =>
        Assert.Equal(charge, Scores.Overlong(length, limit: 16, buffer: 4, penalty: 2));

    [Fact]
    public void The_ratio_is_cut_at_its_cap_where_the_clip_does_not_hold_it()
    {
        using var scope = NewDisposeScope();
        var ratios = tensor(new double[] { 4, 4, 0.5, 0.5 });
        var advantages = tensor(new double[] { 1, -1, 1, -1 });
        Assert.Equal([-1.28, 4, -0.5, 0.8], Numbers(null));
        Assert.Equal([-1.28, 3, -0.5, 0.8], Numbers(3));

        double[] Numbers(double? cap) => [.. Clipped.Of(ratios.log(), advantages, low: 0.2, high: 0.28, cap).Losses.data<double>().Select(x => Math.Round(x, 9))];
    }

    [Fact]
    public void Equal_groups_and_truncated_responses_are_left_out_and_counted()
    {
        var settings = (GrpoSettings)Common with { DropEqualGroups = true, MaskTruncated = true };
        var algorithm = new Grpo(settings, Generation);
        var policy = Policy(algorithm);
        using var state = TrainingState.Start(policy, algorithm);
        var samples = Samples(policy, state, algorithm).Select((sample, i) => sample with { Score = i < 8 ? 1 : i, HasEnded = i % 2 == 0 }).ToArray();

        using var scope = NewDisposeScope();
        var objective = algorithm.Prepare(RolloutTensors.Of(samples, CPU), samples, state);
        Assert.Equal(Enumerable.Range(8, 8), objective.Units.Select(unit => unit.Single()));
        Assert.Equal(0.5, objective.Metrics[MetricNames.EqualGroups]);
        Assert.Equal(samples.Select(sample => sample.HasEnded ? (long)sample.Response.Length : 0), objective.Tokens);

        // Where nothing is left, nothing moves.
        var before = state.ToFiles();
        var same = samples.Select(sample => sample with { Score = 1 }).ToArray();
        var stats = PolicyUpdate.Run(policy, state, same, algorithm, PolicyUpdate.EpochOrder(1, 0), CancellationToken.None);
        Assert.Equal(1, stats.Metrics[MetricNames.EqualGroups]);
        Assert.Equal(before[TrainingState.AdapterFile], state.ToFiles()[TrainingState.AdapterFile]);
    }

    [Fact]
    public void Without_a_coefficient_the_reference_is_not_asked()
    {
        var algorithm = Algorithm.Of(Common, Generation);
        var policy = Policy(algorithm);
        using var state = TrainingState.Start(policy, algorithm);
        var samples = Samples(policy, state, algorithm);
        Assert.All(samples, sample => Assert.Empty(sample.ReferenceLogProbs));
        Assert.All(samples, sample => Assert.Empty(sample.Values));
        Assert.All(samples, sample => Assert.Equal(sample.Response.Length, sample.LogProbs.Length));
        Assert.Equal(samples.Select(sample => sample.LogProbs), RolloutFile.Read(RolloutFile.Write(samples)).Select(sample => sample.LogProbs));
        Assert.DoesNotContain(MetricNames.Kl, Step(policy, state, algorithm).Metrics.Keys);
    }

    internal static TrainedPolicy Policy(Algorithm algorithm) => TinyPolicy.Create(randomAdapter: false, hasValueHead: algorithm.HasValueHead);

    private static StepStats Step(TrainedPolicy policy, TrainingState state, Algorithm algorithm) => PolicyUpdate.Run(
        policy, state, algorithm.Samples ? Samples(policy, state, algorithm) : Preferences(policy), algorithm,
        PolicyUpdate.EpochOrder(1, state.Step), CancellationToken.None);

    internal static IReadOnlyList<RolloutSample> Samples(TrainedPolicy policy, TrainingState state, Algorithm algorithm)
    {
        var perPrompt = algorithm.Settings.SamplesPerPrompt;
        var prompts = TinyPolicy.Prompts(BatchSize / perPrompt);
        return RolloutCollector.Collect(
            policy, TokenShareReward.Decode, new TokenShareReward(5), [.. Enumerable.Range(0, BatchSize).Select(i => prompts[i / perPrompt])], new()
            {
                RunSeed = 1,
                Step = state.Step,
                FirstSample = 0,
                Generation = Generation,
                KlPenalty = algorithm.Penalty,
                ScoringBatchSize = algorithm.Settings.MiniBatchSize,
            }, CancellationToken.None);
    }

    /// <summary>Of two responses the one with the token that <see cref="TokenShareReward"/> likes.</summary>
    internal static IReadOnlyList<RolloutSample> Preferences(TrainedPolicy policy)
    {
        var prompts = TinyPolicy.Prompts(BatchSize);
        int[][] sides = [[5, 5, TinyPolicy.EndOfText], [7, 9, 11, TinyPolicy.EndOfText]];
        using var reference = policy.WithAdapterDisabled();
        var scored = RolloutCollector.Score(
            policy, [.. prompts.SelectMany(prompt => new[] { prompt, prompt })], [.. prompts.SelectMany(_ => sides)], null, 1, 8, CancellationToken.None);
        return [.. scored.Select(sample => sample with { ReferenceLogProbs = sample.LogProbs, LogProbs = [] })];
    }
}
