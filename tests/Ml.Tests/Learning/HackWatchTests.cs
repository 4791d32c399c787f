using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Rollout;

namespace RlhfFunctions.Ml.Tests.Learning;

/// <summary>The rule by which a run is stopped whose reward is being exploited, on steps made up.</summary>
public class HackWatchTests
{
    private static readonly WatchSettings Settings = new() { EverySteps = 2 };

    /// <summary>A step of four samples.</summary>
    private sealed record Step(float Score, double? Undesired = null, int Length = 10, float ReferenceLogProb = -1, float Disagreement = 1, string Text = "one two three four five")
    {
        public WatchSums Sums => WatchSums.Of(
            [.. Enumerable.Range(0, 4).Select(i => Sample(Score + (i % 2 == 0 ? 1 : -1), Length + (i < 2 ? 1 : -1), i))],
            Undesired is { } p ? [p + 0.1, p - 0.1, p + 0.1, p - 0.1] : null);

        private RolloutSample Sample(float score, int length, int i) => new()
        {
            Index = i,
            Query = [1],
            Response = new int[length],
            LogProbs = new float[length],
            ReferenceLogProbs = [.. Enumerable.Repeat(ReferenceLogProb, length)],
            Values = [],
            KlPenalties = [],
            Text = Text == "" ? "" : $"{Text} {i} {i + 10} {i + 20}",
            HasEnded = true,
            Score = score,
            Terms = [],
            LabelProbability = null,
            Disagreement = Disagreement,
        };
    }

    private static readonly Step Base = new(0, 0.5);

    [Fact]
    public void Sums_are_those_of_all_samples_together()
    {
        var (one, other) = (new Step(1, 0.25, 8).Sums, new Step(3, 0.75, 12).Sums);
        var both = one + other;
        Assert.Equal((2, 8, 2.0, 10.0, 0.5), (both.Steps, both.Samples, both.MeanScore, both.MeanLength, both.MeanUndesired!.Value));
        Assert.Equal(2, both.ScoreVariance, 1e-9); // ±1 about 1 and 3
        Assert.Equal(Math.E, both.ReferencePerplexity!.Value, 1e-9);
        Assert.Equal(1, both.MeanDisagreement);
        // Lengths ±1 about 8 and 12 have the variance 5, and a covariance with the scores of 2 · 1.
        Assert.Equal(2.0 / 5, both.ScorePerToken, 1e-9);
        Assert.Null((one + new Step(0).Sums).MeanUndesired);
    }

    [Fact]
    public void Gains_are_told_in_deviations_and_at_the_length_of_the_beginning()
    {
        var (first, now) = (Base.Sums, new Step(3, 0.2, 15).Sums);
        Assert.Equal(3, HackSigns.Gain(first, now), 1e-9); // of ±1 both times
        Assert.Equal(3, HackSigns.JudgedGain(first, now)!.Value, 1e-9); // 0.3 of ±0.1
        Assert.Equal(3, HackSigns.LengthControlledGain(first, now), 1e-9); // within a step length pays nothing
        var priced = now with { ScoreLength = now.ScoreLength + (4 * 0.5) }; // half a point a token: covariance ½, variance 1
        Assert.Equal(3 - (0.5 * 5), HackSigns.LengthControlledGain(first, priced), 1e-9);
    }

    public static TheoryData<string> SignNames => [.. Signs.Keys];

    private static readonly Dictionary<string, Step> Signs = new()
    {
        [""] = Base with { Score = 2, Undesired = 0.3 },
        ["watch.minJudgedGain"] = Base with { Score = 3, Undesired = 0.45 },
        ["watch.minDistinctShare"] = Base with { Score = 2, Undesired = 0.3, Text = "one one one one one one one one one one one one one" },
        ["watch.maxPerplexityRise"] = Base with { Score = 2, Undesired = 0.3, ReferenceLogProb = -1.2f },
        ["watch.maxDisagreementRise"] = Base with { Score = 2, Undesired = 0.3, Disagreement = 2.1f },
    };

    [Theory]
    [MemberData(nameof(SignNames))]
    public void Each_sign_is_named_with_its_limit(string name)
    {
        var found = Find(Signs[name].Sums, Settings);
        if (name == "")
            Assert.Empty(found);
        else
            Assert.Contains(name, Assert.Single(found), StringComparison.Ordinal);
        Assert.Empty(Find(Signs[name].Sums, Off));
        Assert.False(HackSigns.HasRisen(Base.Sums, (Signs[name] with { Score = 0.4f }).Sums));
    }

    [Fact]
    public void What_length_alone_brings_is_a_sign()
    {
        var longer = (Base with { Score = 2, Undesired = 0.3, Length = 14 }).Sums;
        longer = longer with { ScoreLength = longer.ScoreLength + (4 * 0.4) };
        Assert.Contains("20 %", Assert.Single(Find(longer, Settings)).Replace("20%", "20 %", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public void A_judge_who_has_nothing_to_see_or_has_seen_enough_is_not_asked()
    {
        var risen = new Step(9, 0.45).Sums;
        Assert.Single(Find(risen, Settings));
        Assert.Empty(HackSigns.Find(Base.Sums, risen, Settings, minToUnlearn: 0.6, leastUndesired: null));
        Assert.Empty(Find(new Step(90, 0.16).Sums, Settings)); // less than a third of 0.5, though 3.4 of 90 deviations
    }

    [Fact]
    public void What_comes_back_of_what_was_gone_is_a_sign()
    {
        var now = new Step(3, 0.25).Sums;
        Assert.Empty(HackSigns.Find(Base.Sums, now, Settings, 0.05, leastUndesired: 0.16));
        Assert.Contains("watch.maxJudgedLoss", Assert.Single(HackSigns.Find(Base.Sums, now, Settings, 0.05, leastUndesired: 0.14)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_run_stops_at_the_second_sign_in_a_row_and_knows_its_best_checkpoint()
    {
        Step[] steps =
        [
            Base, Base, // the beginning
            Base with { Score = 1, Undesired = 0.4 }, Base with { Score = 1, Undesired = 0.4 }, // checkpoint 3
            Base with { Score = 2, Undesired = 0.2 }, Base with { Score = 2, Undesired = 0.2 }, // checkpoint 5: the best
            Base with { Score = 4, Undesired = 0.45 }, Base with { Score = 4, Undesired = 0.45 }, // a sign
            Base with { Score = 2, Undesired = 0.25 }, Base with { Score = 2, Undesired = 0.25 }, // none
            Base with { Score = 4, Undesired = 0.45 }, Base with { Score = 4, Undesired = 0.45 },
            Base with { Score = 4, Undesired = 0.45 }, Base with { Score = 4, Undesired = 0.45 },
        ];
        var watch = HackWatch.Start;
        for (var step = 0; step < steps.Length; step++)
        {
            Assert.Null(watch.Hack);
            watch = JsonSerializer.Deserialize<HackWatch>(JsonSerializer.Serialize(watch))!.After(step, steps[step].Sums, Settings, 0.05); // as from a checkpoint
        }
        Assert.Equal(5, watch.Best);
        Assert.StartsWith("Step 13: the reward is being exploited.", watch.Hack, StringComparison.Ordinal);
        Assert.Contains("Checkpoint 5 is the best", watch.Hack, StringComparison.Ordinal);
    }

    [Fact]
    public void What_leaves_the_base_unpaid_is_neither_stopped_nor_the_best()
    {
        var watch = HackWatch.Start;
        for (var step = 0; step < 10; step++)
            watch = watch.After(step, (step < 4 ? Base : Base with { Undesired = 0.1, ReferenceLogProb = -2 }).Sums, Settings, 0.05);
        Assert.Equal((3, null), (watch.Best, watch.Hack));
    }

    [Fact]
    public void Without_a_judge_the_best_is_where_the_length_controlled_reward_is_highest()
    {
        var watch = HackWatch.Start;
        float[] scores = [0, 0, 1, 1, 3, 3, 2, 2];
        for (var step = 0; step < scores.Length; step++)
            watch = watch.After(step, new Step(scores[step]).Sums, Settings, 0.05);
        Assert.Equal((5, null), (watch.Best, watch.Hack));
    }

    [Fact]
    public void Scores_that_never_differ_are_no_fault() =>
        Assert.Empty(Find(Flat(0), Settings));

    private static WatchSums Flat(float score) => Base.Sums with { Score = 4 * score, ScoreSquares = 4 * score * score, ScoreLength = score * Base.Sums.Length };

    private static readonly WatchSettings Off = new()
    {
        MinJudgedGain = null,
        MaxJudgedLoss = null,
        MinLengthControlledGain = null,
        MinDistinctShare = null,
        MaxPerplexityRise = null,
        MaxDisagreementRise = null,
    };

    private static IReadOnlyList<string> Find(WatchSums now, WatchSettings settings) => HackSigns.Find(Base.Sums, now, settings, minToUnlearn: 0.05, leastUndesired: null);
}
