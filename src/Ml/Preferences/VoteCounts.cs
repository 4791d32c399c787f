using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Evaluation;

namespace RlhfFunctions.Ml.Preferences;

/// <summary>What votes are worth, and what they say of those who were voted on.</summary>
public static class VoteCounts
{
    public static VoteStatistics Of(IReadOnlyList<CountedVote> votes, ulong seed)
    {
        // Gold pairs and repeats are there to judge the annotators, not the responses.
        var fresh = votes.Where(v => v is { IsRepeat: false, Gold: null } && v.Choice != VoteChoice.Skip).ToArray();
        var matches = fresh.Where(v => v.PolicyA != v.PolicyB)
            .Select(v => new Match(v.PromptId, v.PolicyA, v.PolicyB, FirstWins(v.Choice))).ToArray();
        return new()
        {
            Votes = fresh.Length,
            Decided = fresh.Count(v => v.IsDecided),
            Agreement = Agreement.Krippendorff(
                (votes.Select(v => v.Annotator).Distinct().Count() > 1 ? fresh : votes.Where(v => v.Gold is null && v.Choice != VoteChoice.Skip))
                .GroupBy(v => v.PairId).Select(group => group.Select(v => v.Choice).ToArray())),
            Annotators = [.. votes.GroupBy(v => v.Annotator).OrderBy(group => group.Key, StringComparer.Ordinal).Select(group => Annotator([.. group]))],
            Policies = BradleyTerry.Rank(matches, seed),
            WinRates = WinRates(matches, seed),
        };
    }

    /// <summary>1, 0 or ½: what a vote means for learning.</summary>
    public static double FirstWins(VoteChoice choice) => choice switch { VoteChoice.A => 1, VoteChoice.B => 0, _ => 0.5 };

    private static WinRate[] WinRates(Match[] matches, ulong seed)
    {
        var met = matches.Concat(matches.Select(m => new Match(m.Cluster, m.Second, m.First, 1 - m.FirstWins)))
            .GroupBy(m => (m.First, m.Second)).OrderBy(group => group.Key.First, StringComparer.Ordinal).ThenBy(group => group.Key.Second, StringComparer.Ordinal);
        return [.. met.Select(group => (group.Key, Decided: group.Where(m => m.FirstWins != 0.5).ToArray(), All: group.Count())).Where(group => group.Decided.Length > 0)
            .Select(group =>
            {
                var wins = Bootstrap.SummarizeClusters([.. group.Decided.GroupBy(m => m.Cluster).Select(votes => votes.Select(m => m.FirstWins).ToArray())], seed);
                return new WinRate(group.Key.First, group.Key.Second, wins.Mean, wins.Low, wins.High, group.Decided.Length, group.All - group.Decided.Length);
            })];
    }

    private static AnnotatorStatistics Annotator(CountedVote[] votes)
    {
        var gold = votes.Where(v => v is { Gold: not null, IsRepeat: false } && v.Choice != VoteChoice.Skip).ToArray();
        var earlier = votes.Where(v => !v.IsRepeat).ToDictionary(v => v.PairId, v => v.Choice);
        var repeats = votes.Where(v => v.IsRepeat && v.Choice != VoteChoice.Skip && earlier.GetValueOrDefault(v.PairId, VoteChoice.Skip) != VoteChoice.Skip).ToArray();
        var decided = votes.Where(v => v.IsDecided).ToArray();
        var seconds = votes.Select(v => v.Seconds).Order().ToArray();
        return new()
        {
            Annotator = votes[0].Annotator,
            Votes = votes.Length,
            GoldAccuracy = Share(gold, v => v.Choice == v.Gold),
            GoldVotes = gold.Length,
            Consistency = Share(repeats, v => v.Choice == earlier[v.PairId]),
            Repeats = repeats.Length,
            FirstShare = Share(decided, v => v.Choice == v.ShownFirst),
            LongerShare = Share([.. decided.Where(v => v.LengthLead != 0 && v.Gold is null)], v => v.LengthLead > 0 == (v.Choice == VoteChoice.A)),
            MedianSeconds = seconds.Length % 2 == 1 ? seconds[seconds.Length / 2] : (seconds[(seconds.Length / 2) - 1] + seconds[seconds.Length / 2]) / 2,
        };
    }

    private static double? Share(CountedVote[] votes, Func<CountedVote, bool> holds) =>
        votes.Length == 0 ? null : votes.Count(holds) / (double)votes.Length;
}
