using RlhfFunctions.Campaigns;
using RlhfFunctions.Reports;
using Station = RlhfFunctions.Campaigns.PolicyHistories.Station;

namespace RlhfFunctions.Functions.Tests.Campaigns;

/// <summary>What a policy was made of, and what was made of it; nothing else.</summary>
public sealed class PolicyHistoryTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 31, 12, 0, 0, TimeSpan.Zero);

    // Votes on the base → a reward model → two runs; the first is judged, and those votes teach the next one.
    private static readonly Station[] All =
    [
        At(7, Run("third"), Votes("judgements")),
        At(0, Votes("first-votes")),
        At(1, Reward("taste"), Votes("first-votes")),
        At(3, Run("first"), Reward("taste"), Reward("not-there")),
        At(4, Run("sibling"), Reward("taste")),
        At(5, Votes("judgements"), Run("first")),
        At(6, Votes("elsewhere"), Run("sibling")),
        At(2, Run("unrelated")),
    ];

    [Fact]
    public void A_run_has_its_ancestors_and_its_descendants_in_the_order_of_time()
    {
        Assert.Equal(["first-votes", "taste", "first", "judgements", "third"], Of("first"));
        Assert.Equal(["first-votes", "taste", "sibling", "elsewhere"], Of("sibling"));
        Assert.Equal(["first-votes", "taste", "first", "judgements", "third"], Of("third"));
        Assert.Equal(["unrelated"], Of("unrelated"));
    }

    [Fact]
    public void What_names_each_other_in_a_circle_ends()
    {
        Station[] circle = [At(0, Votes("v"), Run("r")), At(1, Run("r"), Votes("v"))];
        Assert.Equal(["v", "r"], PolicyHistories.Connected(circle, Run("r")).Select(station => station.Item.Id));
    }

    private static IEnumerable<string> Of(string run)
    {
        return PolicyHistories.Connected(All, Run(run)).Select(station => station.Item.Id);
    }

    private static Station At(int hour, HistoryItem item, params HistoryItem[] from)
    {
        return new Station(item, Start.AddHours(hour), from);
    }

    private static HistoryItem Run(string id)
    {
        return new HistoryItem(HistoryKind.Run, id);
    }

    private static HistoryItem Reward(string id)
    {
        return new HistoryItem(HistoryKind.RewardModel, id);
    }

    private static HistoryItem Votes(string id)
    {
        return new HistoryItem(HistoryKind.Votes, id);
    }
}
