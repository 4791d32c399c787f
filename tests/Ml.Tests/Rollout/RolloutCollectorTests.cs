using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Rewards;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Ml.Tests.Policy;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Rollout;

public class RolloutCollectorTests
{
    private static readonly RolloutPlan Plan = new()
    {
        RunSeed = 5,
        Step = 2,
        FirstSample = 0,
        Generation = new() { MaxNewTokens = 12, Temperature = 0.8 },
        KlPenalty = KlPenalty.Kl,
        ScoringBatchSize = 4,
    };

    [Fact]
    public void Shards_make_the_same_batch_as_one_rollout()
    {
        var prompts = TinyPolicy.Prompts(7);
        var whole = Collect(prompts, Plan);
        var merged = RolloutFile.Merge([Collect(prompts[4..], Plan with { FirstSample = 4 }), Collect(prompts[..4], Plan)]);

        Assert.Equal(whole.Select(sample => sample.Response), merged.Select(sample => sample.Response));
        foreach (var (one, other) in whole.Zip(merged))
        {
            Assert.Equal(one.Index, other.Index);
            Assert.Equal(one.Score, other.Score);
            Assert.Equal(one.LogProbs, other.LogProbs, (a, b) => Math.Abs(a - b) < 1e-5);
            Assert.Equal(one.ReferenceLogProbs, other.ReferenceLogProbs, (a, b) => Math.Abs(a - b) < 1e-5);
            Assert.Equal(one.Values, other.Values, (a, b) => Math.Abs(a - b) < 1e-5);
        }
    }

    [Fact]
    public void A_missing_shard_is_noticed()
    {
        var shard = Collect(TinyPolicy.Prompts(3), Plan with { FirstSample = 3 });
        Assert.Throws<InvalidDataException>(() => RolloutFile.Merge([shard]));
    }

    [Fact]
    public void Tokens_are_drawn_from_and_scored_by_the_distribution_of_the_sequence_alone()
    {
        using var scope = NewDisposeScope();
        var policy = TinyPolicy.Create();
        foreach (var sample in Collect(TinyPolicy.Prompts(5), Plan, policy))
        {
            var key = Seeds.Derive(Plan.RunSeed, "rollout", Plan.Step, sample.Index);
            for (var r = 0; r < sample.Response.Length; r++)
            {
                int[] before = [.. sample.Query, .. sample.Response[..r]];
                var hidden = policy.Model.Hidden(tensor(before.Select(id => (long)id).ToArray()).unsqueeze(0)).select(1, -1); // [1, H]
                var logProbs = nn.functional.log_softmax(policy.Model.Logits(hidden) / Plan.Generation.Temperature, -1); // [1, V]
                Assert.Equal(Sampler.Draw(logProbs, [key], r).item<long>(), sample.Response[r]);
                Assert.Equal(logProbs[0, sample.Response[r]].item<float>(), sample.LogProbs[r], 1e-4);
            }
        }
    }

    [Theory]
    [InlineData(KlPenalty.Kl)]
    [InlineData(KlPenalty.Abs)]
    [InlineData(KlPenalty.Mse)]
    [InlineData(KlPenalty.Full)]
    public void Every_penalty_is_zero_for_the_reference_itself_and_kept_for_another_policy(KlPenalty kind)
    {
        var plan = Plan with { KlPenalty = kind };
        var untrained = Collect(TinyPolicy.Prompts(4), plan, TinyPolicy.Create(randomAdapter: false));
        Assert.All(untrained.SelectMany(sample => sample.KlPenalties), penalty => Assert.Equal(0, penalty));
        var trained = Collect(TinyPolicy.Prompts(4), plan).SelectMany(sample => sample.KlPenalties).ToArray();
        Assert.Contains(trained, penalty => penalty != 0);
        Assert.True(kind == KlPenalty.Kl || trained.All(penalty => penalty >= -1e-6));
    }

    [Fact]
    public void A_file_gives_back_what_was_written_and_equal_samples_give_equal_bytes()
    {
        var samples = Collect(TinyPolicy.Prompts(5), Plan);
        var bytes = RolloutFile.Write(samples);
        Assert.Equivalent(samples, RolloutFile.Read(bytes), strict: true);
        Assert.Equal(bytes, RolloutFile.Write(Collect(TinyPolicy.Prompts(5), Plan)));
    }

    [Fact]
    public void A_reward_sees_prompt_and_response_and_the_sample_keeps_what_it_says()
    {
        var reward = new RecordingReward();
        var prompts = TinyPolicy.Prompts(6);
        var samples = RolloutCollector.Collect(TinyPolicy.Create(), TokenShareReward.Decode, reward, prompts, Plan, CancellationToken.None);

        Assert.Equal(prompts.Select(prompt => TokenShareReward.Decode(prompt, skipSpecialTokens: false)), reward.Seen.Select(item => item.Prompt));
        Assert.Equal(samples.Select(sample => sample.Text), reward.Seen.Select(item => item.Response));
        Assert.Equal(samples.Select(sample => $"verbatim {sample.Text}"), reward.Seen.Select(item => item.ResponseVerbatim));
        Assert.All(samples, sample => Assert.Equal(sample.Response[^1] == TinyPolicy.EndOfText, sample.HasEnded));
        Assert.Equal([true, false], samples.Select(sample => sample.HasEnded).Distinct().OrderDescending());
        Assert.All(samples, sample => Assert.Equal([sample.Index, 2f], sample.Terms));
        Assert.Equivalent(samples, RolloutFile.Read(RolloutFile.Write(samples)), strict: true);
        Assert.All(RolloutFile.Read(RolloutFile.Write(samples)), sample => Assert.Null(sample.LabelProbability));
    }

    [Fact]
    public void Each_sample_draws_its_limit_evenly_from_the_settings_range()
    {
        var settings = new GenerationSettings { MaxNewTokensLow = 100, MaxNewTokens = 299 };
        var limits = TinyPolicy.Keys(20_000).Select(key => RolloutCollector.Limit(key, settings)).ToArray();
        Assert.Equal((100, 299), (limits.Min(), limits.Max()));
        Assert.InRange(limits.Average(), 198, 201); // standard deviation of the mean: 0.41
        Assert.All(limits.CountBy(limit => limit), count => Assert.InRange(count.Value, 50, 150)); // 100 expected

        var plan = Plan with { Generation = new() { MaxNewTokens = 12, MaxNewTokensLow = 2, EndOfTextIds = [] } };
        var lengths = Collect(TinyPolicy.Prompts(8), plan).Select(sample => sample.Response.Length).ToArray();
        Assert.Equal(
            Enumerable.Range(0, 8).Select(i => RolloutCollector.Limit(Seeds.Derive(plan.RunSeed, "rollout", plan.Step, i), plan.Generation)), lengths);
        Assert.True(lengths.Distinct().Count() > 2);
    }

    private static IReadOnlyList<RolloutSample> Collect(int[][] prompts, RolloutPlan plan, TrainedPolicy? policy = null) =>
        RolloutCollector.Collect(
            policy ?? TinyPolicy.Create(), TokenShareReward.Decode, new TokenShareReward(5), prompts, plan, CancellationToken.None);

    private sealed class RecordingReward : ITextReward
    {
        public IReadOnlyList<PromptedResponse> Seen { get; private set; } = [];

        public IReadOnlyList<TextScore> Score(IReadOnlyList<PromptedResponse> responses, CancellationToken cancellationToken)
        {
            Seen = responses;
            return [.. responses.Select((_, i) => new TextScore(i, null, [i, 2]))];
        }
    }
}
