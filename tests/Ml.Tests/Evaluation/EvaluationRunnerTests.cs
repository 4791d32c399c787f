using RlhfFunctions.Ml.Evaluation;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Rewards;
using RlhfFunctions.Ml.Tests.Policy;
using RlhfFunctions.Ml.Tests.Rollout;

namespace RlhfFunctions.Ml.Tests.Evaluation;

public class EvaluationRunnerTests
{
    private static readonly EvaluationPlan Plan = new()
    {
        Seed = 9,
        SamplesPerDialogue = 3,
        BatchSize = 7,
        Generation = new() { MaxNewTokens = 10 },
    };

    [Fact]
    public void Every_dialogue_gets_its_samples_whatever_the_batch_size()
    {
        var one = Run(TinyPolicy.Create(), Plan);
        var other = Run(TinyPolicy.Create(), Plan with { BatchSize = 2 });

        var places = from dialogue in Enumerable.Range(0, 5) from sample in Enumerable.Range(0, 3) select (dialogue, sample);
        Assert.Equal(places, one.Select(sample => (sample.Dialogue, sample.Sample)));
        Assert.Equal(one.Select(sample => sample.Text), other.Select(sample => sample.Text));
        Assert.Equal(one.Select(sample => sample.SequenceKl), other.Select(sample => sample.SequenceKl), (a, b) => Math.Abs(a - b) < 1e-4);
        Assert.True(one.Select(sample => sample.Text).Distinct().Count() > 10);
    }

    [Fact]
    public void Numbers_belong_to_their_text()
    {
        foreach (var sample in Run(TinyPolicy.Create(), Plan))
        {
            var ids = sample.Text.Split(' ');
            Assert.Equal(ids.Length, sample.Tokens);
            Assert.Equal(ids[^1] == $"{TinyPolicy.EndOfText}", sample.EndedByEos);
            Assert.Equal(1 - (ids.Count(id => id == "5") / (double)ids.Length), sample.LabelProbability!.Value, 1e-6);
            Assert.Equal(Rouge.Score(References[sample.Dialogue], sample.Text).RougeL.FMeasure, sample.RougeL);
        }
    }

    [Fact]
    public void Without_a_judge_all_else_is_measured_alike()
    {
        var judged = Run(TinyPolicy.Create(), Plan);
        var unjudged = EvaluationRunner.Run(
            TinyPolicy.Create(), TokenShareReward.Decode, null, TinyPolicy.Prompts(5), References, Plan, CancellationToken.None);
        Assert.Equal(judged.Select(sample => sample with { LabelProbability = null }), unjudged);
    }

    [Fact]
    public void The_reference_is_at_no_distance_from_itself_and_an_untrained_policy_answers_alike()
    {
        var policy = TinyPolicy.Create();
        Assert.Contains(Run(policy, Plan), sample => sample.SequenceKl != 0);
        using var off = policy.WithAdapterDisabled();
        var reference = Run(policy, Plan);

        Assert.All(reference, sample => Assert.Equal(0, sample.SequenceKl));
        Assert.Equal(reference, Run(TinyPolicy.Create(randomAdapter: false), Plan));
    }

    private static readonly string[] References = ["5 6 7", "8 9", "10 5", "3", "4 5 6 11"];

    private static IReadOnlyList<EvaluatedSample> Run(TrainedPolicy policy, EvaluationPlan plan) => EvaluationRunner.Run(
        policy, TokenShareReward.Decode, new TokenShareReward(5), TinyPolicy.Prompts(5), References, plan, CancellationToken.None);
}
