using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Preferences;

namespace RlhfFunctions.Ml.Tests.Preferences;

public class VoteTests
{
    [Fact]
    public void Agreement_is_that_of_krippendorffs_own_example()
    {
        // Krippendorff (2011), section C: four observers, twelve units, values missing; α for nominal data is 0.743.
        string[] observers = ["123321412...", "123322412 5.3".Replace(" ", ""), ".33323422 51.".Replace(" ", ""), "123324412 51.".Replace(" ", "")];
        var units = Enumerable.Range(0, 12).Select(unit => observers.Select(values => values[unit]).Where(value => value != '.').ToArray());
        Assert.Equal(0.743, Agreement.Krippendorff(units)!.Value, 5e-4);
    }

    [Fact]
    public void Agreement_is_one_where_all_agree_and_unknown_where_nothing_could_differ()
    {
        Assert.Equal(1, Agreement.Krippendorff<char>([['a', 'a'], ['b', 'b']]));
        Assert.Null(Agreement.Krippendorff<char>([['a', 'a'], ['a', 'a']]));
        Assert.Null(Agreement.Krippendorff<char>([['a'], ['b']]));
        // Two units disagreed on: o = 2 · 2, e = (16 − 8) / 3.
        Assert.Equal(1 - (4 / (8.0 / 3)), Agreement.Krippendorff<char>([['a', 'b'], ['b', 'a']])!.Value, 1e-12);
    }

    [Fact]
    public void Two_players_with_ties_have_the_scores_that_give_their_shares()
    {
        // P(win) ½ = γ / (γ + θ) and P(loss) ¼ = 1 / (1 + θγ), with γ = γ₁/γ₂, give γ = θ = √3.
        var (scores, theta) = BradleyTerry.Fit(Matches(("new", "old", 1, 20), ("new", "old", 0, 10), ("new", "old", 0.5, 10)));
        Assert.Equal(Math.Sqrt(3), theta, 1e-6);
        Assert.Equal(Math.Log(Math.Sqrt(3)), scores["new"] - scores["old"], 1e-6);
        Assert.Equal(0, scores.Values.Sum(), 1e-9);
    }

    [Fact]
    public void Without_ties_it_is_bradley_and_terrys_model()
    {
        var (scores, theta) = BradleyTerry.Fit(Matches(("a", "b", 1, 3), ("a", "b", 0, 1), ("b", "c", 1, 3), ("b", "c", 0, 1)));
        Assert.Equal(1, theta);
        Assert.Equal([Math.Log(3), 0, -Math.Log(3)], new[] { scores["a"], scores["b"], scores["c"] }.Select(s => Math.Round(s, 6) is var r && r == 0 ? 0 : s), new Near(1e-5));
    }

    [Fact]
    public void Ranking_tells_how_sure_it_is_and_lends_a_loser_something()
    {
        var even = BradleyTerry.Rank(Matches(("a", "b", 1, 10), ("a", "b", 0, 10)), seed: 1);
        Assert.All(even, score => Assert.True(score.Low < 0 && score.High > 0, $"{score}"));
        var clear = BradleyTerry.Rank(Matches(("a", "b", 1, 40), ("a", "b", 0, 4)), seed: 1);
        Assert.Equal(["a", "b"], clear.Select(score => score.Policy));
        Assert.True(clear[0].Low > 0 && clear[0].Low <= clear[0].Score && clear[0].Score <= clear[0].High, $"{clear[0]}");
        Assert.InRange(BradleyTerry.Rank(Matches(("a", "b", 1, 10)), seed: 1)[0].Score, 1, 3); // ½ · ln(10.5 / 0.5)
    }

    [Fact]
    public void An_annotators_gold_repeats_position_length_and_pace_are_counted()
    {
        CountedVote[] votes =
        [
            Vote("1", VoteChoice.A, shownFirst: VoteChoice.A, seconds: 2) with { LengthLead = 5 },
            Vote("2", VoteChoice.B, shownFirst: VoteChoice.B, seconds: 4) with { LengthLead = 5 },
            Vote("3", VoteChoice.Tie, shownFirst: VoteChoice.A, seconds: 9),
            Vote("4", VoteChoice.Skip, shownFirst: VoteChoice.A, seconds: 1),
            Vote("5", VoteChoice.A, shownFirst: VoteChoice.B, seconds: 6) with { LengthLead = -2 },
            Vote("g1", VoteChoice.A, shownFirst: VoteChoice.A, seconds: 3) with { Gold = VoteChoice.A },
            Vote("g2", VoteChoice.Tie, shownFirst: VoteChoice.A, seconds: 3) with { Gold = VoteChoice.A },
            Vote("1", VoteChoice.A, shownFirst: VoteChoice.B, seconds: 1) with { IsRepeat = true },
            Vote("2", VoteChoice.A, shownFirst: VoteChoice.A, seconds: 1) with { IsRepeat = true },
        ];
        var statistics = VoteCounts.Of(votes, seed: 0);
        var ann = statistics.Annotators.Single();
        Assert.Equal((0.5, 2), (ann.GoldAccuracy, ann.GoldVotes));
        Assert.Equal((0.5, 2), (ann.Consistency, ann.Repeats));
        Assert.Equal(4 / 6.0, ann.FirstShare); // 1, 2, g1 and the second repeat of the decided six
        Assert.Equal(1 / 3.0, ann.LongerShare);
        Assert.Equal(3, ann.MedianSeconds);
        Assert.Equal((4, 3), (statistics.Votes, statistics.Decided)); // neither gold nor repeats nor skipped ones
        // With himself, over 1 (A, A) and 2 (B, A): 1 − o / e, o = 2 and e = (16 − 9 − 1) / 3.
        Assert.Equal(0, statistics.Agreement!.Value, 1e-12);
        Assert.Null(VoteCounts.Of(votes[..7], seed: 0).Agreement);
    }

    [Fact]
    public void Policies_are_ranked_by_fresh_votes_alone()
    {
        var votes = Enumerable.Range(0, 30).Select(i => Vote($"{i}", i % 5 == 0 ? VoteChoice.B : VoteChoice.A, VoteChoice.A, 1) with { PolicyA = "new", PolicyB = "old" })
            .Append(Vote("gold", VoteChoice.B, VoteChoice.A, 1) with { PolicyA = "new", PolicyB = "old", Gold = VoteChoice.B });
        var policies = VoteCounts.Of([.. votes], seed: 0).Policies;
        Assert.Equal("new", policies[0].Policy);
        Assert.Equal(Math.Log(24.5 / 6.5), policies[0].Score - policies[1].Score, 1e-6); // 24 wins, 6 losses, half a win lent to each
    }

    [Fact]
    public void A_win_rate_is_the_share_of_the_decided_votes_and_each_rivals_is_the_rest()
    {
        // Ten dialogues of two votes each, 9 of them all for the new one, and two ties besides.
        var votes = Enumerable.Range(0, 20).Select(i => Vote($"{i}", i < 18 ? VoteChoice.A : VoteChoice.B, VoteChoice.A, 1) with { PromptId = $"p{i / 2}" })
            .Concat([Vote("t1", VoteChoice.Tie, VoteChoice.A, 1), Vote("t2", VoteChoice.BothBad, VoteChoice.A, 1), Vote("s", VoteChoice.Skip, VoteChoice.A, 1)])
            .Select(vote => vote with { PolicyA = "new", PolicyB = "old" });
        var rates = VoteCounts.Of([.. votes], seed: 0).WinRates;
        Assert.Equal([("new", "old", 0.9, 20, 2), ("old", "new", 0.1, 20, 2)], rates.Select(r => (r.Policy, r.Against, Math.Round(r.Mean, 12), r.Decided, r.Ties)));
        Assert.Equal(1, rates[0].High);
        Assert.Contains(rates[0].Low, new[] { 0.6, 0.7, 0.8 }); // dialogues are drawn whole: a tenth at a time
        Assert.Empty(VoteCounts.Of([Vote("1", VoteChoice.A, VoteChoice.A, 1) with { PolicyA = "one", PolicyB = "one" }], seed: 0).WinRates);
        Assert.Empty(VoteCounts.Of([Vote("1", VoteChoice.Tie, VoteChoice.A, 1) with { PolicyA = "new", PolicyB = "old" }], seed: 0).WinRates);
    }

    private static CountedVote Vote(string pair, VoteChoice choice, VoteChoice shownFirst, double seconds) => new("ann", pair, pair, choice, shownFirst, seconds);

    private static Match[] Matches(params (string First, string Second, double FirstWins, int Count)[] kinds) =>
        [.. kinds.SelectMany((kind, k) => Enumerable.Range(0, kind.Count).Select(i => new Match($"{k} {i}", kind.First, kind.Second, kind.FirstWins)))];

    private sealed class Near(double tolerance) : IEqualityComparer<double>
    {
        public bool Equals(double x, double y) => Math.Abs(x - y) <= tolerance;

        public int GetHashCode(double value) => 0;
    }
}
