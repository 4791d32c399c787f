using System.Security.Cryptography;
using RlhfFunctions.Campaigns;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.Campaigns;

/// <summary>Who judges what, and what of it counts; without a host.</summary>
public sealed class PairQueueTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 31, 12, 0, 0, TimeSpan.Zero);

    private static readonly CampaignRequest Request = new()
    {
        CampaignId = "c",
        Seed = 7,
        Model = new ModelSettings { Source = "file:m" },
        Dialogues = "file:d.csv",
        Pairs = 20,
        Overlap = 0,
        RepeatShare = 0.2,
        LeaseMinutes = 10,
    };

    private static readonly CampaignPair[] Pairs = [.. Enumerable.Range(0, 20).Select(i => new CampaignPair(i, $"d{i}", $"dialogue {i}", $"a{i}", $"longer b{i}", "old", "new", 1))];

    [Fact]
    public void Two_annotators_get_different_pairs_and_keep_them_for_ten_minutes()
    {
        var (ann, book) = Take("ann", [], null);
        var (bob, both) = Take("bob", [], book);
        Assert.Equal([0, 1, 2], ann.Select(item => item.Pair));
        Assert.Equal([3, 4, 5], bob.Select(item => item.Pair));
        Assert.Equal([0, 1, 2], Take("ann", [], both).Next.Select(item => item.Pair)); // asked again, the same again
        var later = PairQueue.Take(Request, Pairs, [], both, "eve", 3, Now.AddMinutes(11));
        Assert.Equal([0, 1, 2], later.Next.Select(item => item.Pair)); // nobody came back for them
    }

    [Fact]
    public void What_is_judged_is_nobody_elses_but_what_was_skipped_is()
    {
        var votes = Count(Event("ann", "1", 0, ShownChoice.Tie), Event("ann", "2", 1, ShownChoice.Skip));
        Assert.Equal([1, 2, 3], Take("bob", votes, null).Next.Select(item => item.Pair));
        Assert.Equal([2, 3, 4], Take("ann", votes, null).Next.Select(item => item.Pair));
    }

    [Fact]
    public void Shared_pairs_are_judged_by_two_and_gold_ones_by_all()
    {
        var everybody = Request with { Overlap = 1 };
        var once = Count(Event("ann", "1", 0, ShownChoice.First));
        var twice = Count(Event("ann", "1", 0, ShownChoice.First), Event("bob", "1", 0, ShownChoice.First));
        Assert.Equal(0, PairQueue.Take(everybody, Pairs, once, null, "bob", 1, Now).Next.Single().Pair);
        Assert.Equal(1, PairQueue.Take(everybody, Pairs, twice, null, "eve", 1, Now).Next.Single().Pair);
        CampaignPair[] gold = [Pairs[0] with { Gold = VoteChoice.A }, .. Pairs[1..]];
        Assert.Equal(0, PairQueue.Take(Request, gold, CampaignVotes.Count([Event("ann", "1", 0, ShownChoice.First), Event("bob", "1", 0, ShownChoice.First)], gold), null, "eve", 1, Now).Next.Single().Pair);
    }

    [Fact]
    public void A_fifth_comes_back_sides_swapped_but_not_at_once()
    {
        VoteEvent[] events = [.. Enumerable.Range(0, 10).Select(i => Event("ann", $"{i}", i, ShownChoice.First))];
        Assert.All(Take("ann", Count(events[..5]), null).Next, item => Assert.Equal(0, item.Round)); // one is due, but all were just seen
        var next = Take("ann", Count(events), null).Next;
        Assert.Equal([(0, 1), (1, 1), (10, 0)], next);
        foreach (var pair in Pairs)
        {
            var (first, again) = (PairQueue.Show(Request, pair, "ann", 0), PairQueue.Show(Request, pair, "ann", 1));
            Assert.Equal((first.First, first.Second), (again.Second, again.First));
        }

        int swapped = Pairs.Count(pair => PairQueue.ShownFirst(Request, "ann", pair.Index, 0) != PairQueue.ShownFirst(Request, "bob", pair.Index, 0));
        Assert.InRange(swapped, 3, 17); // each annotator has an order of his own
    }

    [Fact]
    public void A_vote_counts_once_for_the_response_that_was_shown_and_not_when_taken_back()
    {
        var vote = Event("ann", "first-vote", 3, ShownChoice.First);
        var counted = Assert.Single(Count(vote, vote));
        Assert.Equal(PairQueue.ShownFirst(Request, "ann", 3, 0), counted.Choice);
        Assert.Equal("a3".Length - "longer b3".Length, counted.LengthLead);

        Assert.Null(vote.ModelsSha256); // nobody said which
        var written = PairQueue.Record(Request, Pairs[3] with { ModelA = "models/base", ModelB = "models/base 12ab" }, "ann", vote.Vote, Now);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData("models/base\nmodels/base 12ab"u8)), written.ModelsSha256);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData("dialogue 3\na3\nlonger b3"u8)), written.TextsSha256);

        var undo = Event("ann", "undo-of-it", 3, ShownChoice.First) with { Vote = new VoteMessage { Id = "undo-of-it", Undoes = "first-vote", Pair = 3 } };
        Assert.Empty(Count(vote, undo));
        Assert.Equal(VoteChoice.Tie, Count(vote, undo, Event("ann", "other-vote", 3, ShownChoice.Tie)).Single().Choice);
        Assert.Equal(2, Count(vote, Event("bob", "first-vote", 3, ShownChoice.First)).Count); // ids are each annotator's own
    }

    [Fact]
    public void What_is_learnt_from_has_no_gold_no_repeats_and_nothing_skipped()
    {
        CampaignPair[] pairs = [Pairs[0] with { Gold = VoteChoice.A }, .. Pairs[1..]];
        VoteEvent[] events =
        [
            Event("ann", "1", 0, ShownChoice.First), Event("ann", "2", 1, ShownChoice.Skip), Event("ann", "3", 2, ShownChoice.Tie),
            Event("ann", "4", 4, Shown("ann", 4, VoteChoice.A)), Event("bob", "5", 4, Shown("bob", 4, VoteChoice.A)), Event("eve", "6", 4, Shown("eve", 4, VoteChoice.B)),
            Event("ann", "7", 4, ShownChoice.BothBad, round: 1),
        ];
        var preferences = Preference.Of(Request, pairs, CampaignVotes.Count(events, pairs));
        Assert.Equal([("d2", 0.5), ("d4", 2 / 3.0)], preferences.Select(p => (p.DialogueId, p.AWins)));
        Assert.Contains("dialogue 4", preferences[1].Prompt, StringComparison.Ordinal);
    }

    private static ShownChoice Shown(string annotator, int pair, VoteChoice choice)
    {
        return PairQueue.ShownFirst(Request, annotator, pair, 0) == choice ? ShownChoice.First : ShownChoice.Second;
    }

    private static (IReadOnlyList<(int Pair, int Round)> Next, LeaseBook Book) Take(string annotator, IReadOnlyList<CountedVote> votes, LeaseBook? book)
    {
        return PairQueue.Take(Request, Pairs, votes, book, annotator, 3, Now);
    }

    private static IReadOnlyList<CountedVote> Count(params VoteEvent[] events)
    {
        return CampaignVotes.Count(events, Pairs);
    }

    private static VoteEvent Event(string annotator, string id, int pair, ShownChoice choice, int round = 0)
    {
        return PairQueue.Record(Request, Pairs[pair], annotator, new VoteMessage { Id = id, Pair = pair, Round = round, Choice = choice }, Now);
    }
}
