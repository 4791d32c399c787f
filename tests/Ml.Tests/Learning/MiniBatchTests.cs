using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Ml.Tests.Policy;
using RlhfFunctions.Ml.Tests.Rollout;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Learning;

public sealed class MiniBatchTests
{
    private static readonly RolloutPlan Plan = new()
    {
        RunSeed = 1,
        Step = 0,
        FirstSample = 0,
        Generation = new() { MaxNewTokens = 9 },
        KlPenalty = KlPenalty.Kl,
        ScoringBatchSize = 4,
    };

    [Fact]
    public void Threads_change_no_more_than_rounding_and_give_the_same_bits_each_time()
    {
        var one = Gradients(threads: 1);
        var two = Gradients(threads: 2);
        Assert.Equal(two, Gradients(threads: 2));
        Assert.Contains(one, gradient => gradient != 0);
        Assert.Equal(one, two, (a, b) => Math.Abs(a - b) < 1e-4);
    }

    [Theory]
    [InlineData(1, 40)] // several micro-batches
    [InlineData(2, 40)]
    [InlineData(1, 1)] // no sample fits: blocks are computed once more
    public void What_is_kept_at_a_time_changes_no_more_than_rounding(int threads, int tokens)
    {
        Assert.Equal(Gradients(threads: 1), Gradients(threads, tokens), (a, b) => Math.Abs(a - b) < 1e-4);
    }

    [Fact]
    public void Scores_stand_in_the_order_that_was_asked_for()
    {
        using var scope = NewDisposeScope();
        var policy = TinyPolicy.Create();
        var samples = Samples(policy);
        int[] rows = [5, 0, 6, 3, 1];
        get_num_threads();
        set_num_threads(2);
        try
        {
            using var batch = MiniBatch.Learn(policy, samples, Objective.Singly(rows), 1, scores => scores.LogProbs.sum() + scores.Values!.sum());
            Assert.All(rows.Select((row, i) => (row, i)), at =>
            {
                using var alone = MiniBatch.Learn(policy, samples, [[at.row]], 1, scores => scores.LogProbs.sum() + scores.Values!.sum());
                var expected = alone.Scores.LogProbs[0].data<float>().ToArray();
                Assert.Equal(expected, batch.Scores.LogProbs[at.i].data<float>().ToArray()[..expected.Length], (a, b) => Math.Abs(a - b) < 1e-4);
            });
        }
        finally
        {
            set_num_threads(1);
        }
    }

    [Fact]
    public void A_step_that_recomputes_leaves_no_tensors_behind()
    {
        NoLeaks.In(() => Gradients(threads: 1, tokens: 1));
    }

    private static IReadOnlyList<RolloutSample> Samples(TrainedPolicy policy) => RolloutCollector.Collect(
        policy, TokenShareReward.Decode, new TokenShareReward(5), TinyPolicy.Prompts(7), Plan, CancellationToken.None);

    private static Tensor Loss(TokenScores scores, Tensor isToken) => ((scores.LogProbs + scores.Values!.square()) * isToken).sum();

    /// <summary>Of log-probabilities and values of some samples, end to end.</summary>
    private static float[] Gradients(int threads, int tokens = 10_000)
    {
        using var scope = NewDisposeScope();
        var whole = TinyPolicy.Create();
        var policy = new TrainedPolicy(whole.Model, whole.Adapter, whole.ValueHead) { ActivationBytes = tokens * whole.Model.KeptBytesPerToken };
        var samples = Samples(policy);
        get_num_threads();
        set_num_threads(threads);
        try
        {
            using var batch = MiniBatch.Learn(policy, samples, Objective.Singly(Enumerable.Range(0, 7)), 1, scores => Loss(scores, RolloutTensors.Of(samples, CPU).IsResponseToken));
            batch.AddGradients();
            return [.. policy.Parameters.SelectMany(named => named.Value.grad!.cpu().data<float>().ToArray())];
        }
        finally
        {
            set_num_threads(1);
            policy.Adapter.Dispose();
            policy.ValueHead?.Dispose();
            policy.Model.Dispose();
        }
    }
}
