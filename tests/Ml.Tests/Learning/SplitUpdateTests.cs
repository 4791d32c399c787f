using CsCheck;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Rollout;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Learning;

/// <summary>An update that many workers share is the update that one makes, whatever the algorithm, and whoever computes what and when.</summary>
public sealed class SplitUpdateTests
{
    public static TheoryData<TrainingSettings> All =>
    [
        .. AlgorithmTests.All.Select(row => row.Data),
        new PpoSettings { Steps = 20, BatchSize = 16, MiniBatchSize = 2, GradientAccumulationSteps = 4, LearningRate = 2e-2, WhitenRewards = true, MaxGradientNorm = 0.1 },
        new GrpoSettings { Steps = 20, BatchSize = 16, MiniBatchSize = 2, GradientAccumulationSteps = 4, LearningRate = 2e-2, GroupSize = 4, Loss = LossReduction.Bnpo },
    ];

    [Theory]
    [MemberData(nameof(All))]
    public void The_gradients_of_the_shards_add_up_to_the_whole_gradient(TrainingSettings settings)
    {
        foreach (var shards in new[] { 2, 3, 8 })
        {
            // One step of the optimizer: what Adam remembers of it is the gradient, and its square.
            var step = new Lesson(settings with { Epochs = 1, MiniBatchSize = settings.MiniBatchSize * 16 / OfOptimizerStep(settings) });
            var (whole, split) = (step.Whole(), step.Split(shards, Enumerable.Range(0, shards)));
            AssertClose(whole.Files[TrainingState.OptimizerFile], split.Files[TrainingState.OptimizerFile], 1e-5);
            Assert.Equal(whole.Files[TrainingState.StateFile], split.Files[TrainingState.StateFile]);
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void A_step_in_shards_reports_and_alarms_as_a_step_in_one_piece(TrainingSettings settings)
    {
        var lesson = new Lesson(settings);
        var (whole, split) = (lesson.Whole(), lesson.Split(2, [0, 1]));
        Assert.Equal(whole.Stats.Metrics.Keys.Order(), split.Stats.Metrics.Keys.Order());
        // While the policy is the reference, rounding decides which response of a pair it prefers.
        Assert.All(whole.Stats.Metrics.Where(metric => !metric.Key.StartsWith("time/", StringComparison.Ordinal) && metric.Key != "rewards/accuracies"), metric =>
            Assert.True(Math.Abs(metric.Value - split.Stats.Metrics[metric.Key]) <= 1e-3 * (1 + Math.Abs(metric.Value)), $"{metric}, but {split.Stats.Metrics[metric.Key]}"));
        Assert.Equal(whole.Stats.Alarm, split.Stats.Alarm);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void No_bit_depends_on_which_shard_is_computed_first_or_by_whom_or_how_often(TrainingSettings settings)
    {
        var lesson = new Lesson(settings);
        var (one, other) = (lesson.Split(3, [0, 1, 2]), lesson.Split(3, [2, 0, 2, 1, 0]));
        Assert.Equal(one.Files.Keys.Order(), other.Files.Keys.Order());
        Assert.All(one.Files, file => Assert.Equal(file.Value, other.Files[file.Key]));
    }

    [Fact]
    public void An_exploded_mini_batch_moves_nothing_and_is_counted()
    {
        var settings = new PpoSettings { Steps = 20, BatchSize = 16, MiniBatchSize = 8, Epochs = 2 };
        foreach (var breaksBy in new[] { float.NaN, -50 })
        {
            var lesson = new Lesson(settings, sample => sample.Index < 4 ? sample with { LogProbs = [.. sample.LogProbs.Select(logProb => logProb + breaksBy)] } : sample);
            var (whole, split) = (lesson.Whole(), lesson.Split(4, [0, 1, 2, 3]));
            Assert.InRange(split.Stats.Metrics[MetricNames.SkippedMiniBatches], 2, 4);
            Assert.Equal(whole.Stats.Metrics[MetricNames.SkippedMiniBatches], split.Stats.Metrics[MetricNames.SkippedMiniBatches]);
            Assert.Contains("ppo.alarms.maxRatio", split.Stats.Alarm, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void The_value_head_warms_up_alone_and_epochs_end_early()
    {
        var settings = new PpoSettings { Steps = 20, BatchSize = 16, MiniBatchSize = 8, Epochs = 5, LearningRate = 2e-2 };
        var warmUp = new Lesson(settings with { ValueWarmupSteps = 1 });
        var warm = warmUp.Split(2, [0, 1]).Files;
        Assert.Equal(warmUp.Checkpoint[TrainingState.AdapterFile], warm[TrainingState.AdapterFile]);
        Assert.NotEqual(warmUp.Checkpoint[TrainingState.ValueHeadFile], warm[TrainingState.ValueHeadFile]);

        var hasty = new Lesson(settings with { EarlyStopping = true, TargetPolicyKl = 1e-9 });
        var (whole, split) = (hasty.Whole(), hasty.Split(2, [0, 1]));
        Assert.Equal(whole.OptimizerSteps, split.OptimizerSteps);
        Assert.InRange(split.OptimizerSteps, 2, 8); // of ten
    }

    [Fact]
    public void Where_there_is_nothing_to_learn_nothing_moves()
    {
        var settings = new GrpoSettings { Steps = 20, BatchSize = 16, MiniBatchSize = 8, GroupSize = 4, DropEqualGroups = true };
        var lesson = new Lesson(settings, sample => sample with { Score = 1 });
        var split = lesson.Split(2, [0, 1]);
        Assert.Equal(0, split.OptimizerSteps);
        Assert.Equal(1, split.Stats.Metrics[MetricNames.EqualGroups]);
        Assert.Equal(lesson.Checkpoint[TrainingState.AdapterFile], split.Files[TrainingState.AdapterFile]);
    }

    [Fact]
    public void Gradients_that_lack_a_mini_batch_are_refused()
    {
        var lesson = new Lesson(new PpoSettings { Steps = 20, BatchSize = 16, MiniBatchSize = 2, GradientAccumulationSteps = 2 });
        Assert.Contains("mini-batch 1 is missing", Assert.Throws<InvalidDataException>(() => lesson.Split(2, [0, 0])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_is_left_behind()
    {
        var lesson = new Lesson(new PpoSettings { Steps = 20, BatchSize = 16, MiniBatchSize = 8, Epochs = 1 });
        NoLeaks.In(() => lesson.Split(2, [0, 1]));
    }

    [Fact]
    public void Parts_are_all_rows_once_in_their_order_and_differ_by_one_unit() => Gen.Select(
        Gen.Int[1, 40], Gen.Int[1, 2], Gen.Int[1, 8], Gen.Int[1, 50]).Sample((units, perUnit, miniBatch, shards) =>
    {
        var step = OptimizerRows.Cut([.. Enumerable.Range(0, units * perUnit).Reverse().Chunk(perUnit)], miniBatch, 100).Single();
        var parts = Enumerable.Range(0, shards).Select(shard => step.Part(shard, shards).ToArray()).ToArray();
        for (var i = 0; i < step.MiniBatches.Length; i++)
        {
            var ofBatch = parts.SelectMany(part => part).Where(part => part.MiniBatch == i).ToArray();
            Assert.Equal(step.Rows(i), ofBatch.SelectMany(part => part.Units.SelectMany(unit => unit)));
            Assert.Equal(0, ofBatch.Aggregate(0, (rows, part) => part.Above == rows ? rows + part.Units.Sum(unit => unit.Length) : -1) - step.Rows(i).Length);
        }
        var sizes = parts.Select(part => part.Sum(rows => rows.Units.Sum(unit => unit.Length))).ToArray();
        Assert.True(sizes.Max() - sizes.Min() <= perUnit);
        Assert.All(parts, part => Assert.All(part, rows => Assert.All(rows.Units, unit => Assert.Equal(perUnit, unit.Length)))); // no pair is torn apart
    });

    private static int OfOptimizerStep(TrainingSettings settings) => settings.MiniBatchSize * settings.GradientAccumulationSteps;

    private static void AssertClose(byte[] expected, byte[] actual, double tolerance)
    {
        using var scope = NewDisposeScope();
        var (there, here) = (SafetensorsFile.Read(expected), SafetensorsFile.Read(actual));
        Assert.Equal(there.Entries.Keys, here.Entries.Keys);
        Assert.Contains(there.Entries.Keys, name => there.Load(name).abs().max().item<float>() > 1e-4);
        Assert.All(there.Entries.Keys, name => Assert.InRange((there.Load(name) - here.Load(name)).abs().max().item<float>(), 0, tolerance));
    }

    /// <summary>One step from one checkpoint on the same samples, by one or by many.</summary>
    private sealed class Lesson
    {
        private readonly Algorithm _algorithm;
        private readonly IReadOnlyList<RolloutSample> _samples;

        public Lesson(TrainingSettings settings, Func<RolloutSample, RolloutSample>? change = null)
        {
            _algorithm = Algorithm.Of(settings, AlgorithmTests.Generation);
            var policy = AlgorithmTests.Policy(_algorithm);
            using var state = TrainingState.Start(policy, _algorithm);
            Checkpoint = state.ToFiles();
            var samples = _algorithm.Samples ? AlgorithmTests.Samples(policy, state, _algorithm) : AlgorithmTests.Preferences(policy);
            _samples = [.. samples.Select(change ?? (sample => sample))];
        }

        public IReadOnlyDictionary<string, byte[]> Checkpoint { get; }

        public (IReadOnlyDictionary<string, byte[]> Files, StepStats Stats, long OptimizerSteps) Whole()
        {
            var policy = AlgorithmTests.Policy(_algorithm);
            using var state = TrainingState.Restore(policy, Checkpoint);
            var stats = PolicyUpdate.Run(policy, state, _samples, _algorithm, PolicyUpdate.EpochOrder(1, 0), CancellationToken.None);
            return (state.ToFiles(), stats, state.Optimizer.Steps);
        }

        /// <param name="shards">How many.</param>
        /// <param name="order">In which order they are computed; one may be computed again.</param>
        public (IReadOnlyDictionary<string, byte[]> Files, StepStats Stats, long OptimizerSteps) Split(int shards, IEnumerable<int> order)
        {
            var (files, log) = (Checkpoint, new UpdateLog().ToBytes());
            for (var isLast = false; !isLast;)
            {
                var gradients = Enumerable.Repeat(SafetensorsFile.Write(new Dictionary<string, Tensor>()), shards).ToArray();
                foreach (var shard in order)
                    gradients[shard] = Work(update => update.Gradient(shard, shards, CancellationToken.None)).Result;
                (isLast, files, log) = Work(update => update.Descend(gradients, CancellationToken.None));
            }
            var (stats, after, _) = Work(update => update.Finish());
            return (after, stats, UpdateLog.Read(log).OptimizerSteps);

            // Each piece of work is done by somebody who has only files.
            (T Result, IReadOnlyDictionary<string, byte[]> Files, byte[] Log) Work<T>(Func<PolicyUpdate, T> work)
            {
                var policy = AlgorithmTests.Policy(_algorithm);
                using var state = TrainingState.Restore(policy, files);
                var going = UpdateLog.Read(log);
                var result = work(new PolicyUpdate(policy, state, _samples, _algorithm, PolicyUpdate.EpochOrder(1, 0), going));
                Assert.All(policy.Parameters, named => Assert.Null(named.Value.grad));
                var output = (result, state.ToFiles(), going.ToBytes());
                policy.ValueHead?.Dispose();
                policy.Adapter.Dispose();
                policy.Model.Dispose();
                return output;
            }
        }
    }
}
