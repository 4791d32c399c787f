using System.Security.Cryptography;
using System.Text;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;

namespace RlhfFunctions.Campaigns;

/// <summary>A pair that is kept for the annotator it was given to.</summary>
public sealed record Lease(int Pair, string Annotator, DateTimeOffset Until);

/// <summary>All leases of a campaign.</summary>
public sealed record LeaseBook(IReadOnlyList<Lease> Leases);

/// <summary>Who judges what next. Pure: the same votes, leases and time give the same pairs.</summary>
public static class PairQueue
{
    /// <summary>Votes between seeing a pair and seeing it again.</summary>
    private const int RepeatDistance = 5;

    /// <summary>The next pairs of an annotator, and the leases that go with them.</summary>
    /// <param name="campaign">Its shares and its seed.</param>
    /// <param name="pairs">All its pairs.</param>
    /// <param name="votes">All votes that count, each annotator's in order.</param>
    /// <param name="book">The leases there are; null: none.</param>
    /// <param name="annotator">Who asks.</param>
    /// <param name="count">At most so many pairs.</param>
    /// <param name="now">What time it is.</param>
    public static (IReadOnlyList<(int Pair, int Round)> Next, LeaseBook Book) Take(
        CampaignRequest campaign, IReadOnlyList<CampaignPair> pairs, IReadOnlyList<CountedVote> votes, LeaseBook? book, string annotator, int count, DateTimeOffset now)
    {
        var others = (book?.Leases ?? []).Where(lease => lease.Until > now && lease.Annotator != annotator).ToList();
        var own = votes.Where(vote => vote.Annotator == annotator).ToArray();
        var seen = own.Where(vote => !vote.IsRepeat).Select(vote => vote.PairId).ToHashSet();
        // Who skips a pair leaves it to others.
        var judges = votes.Where(vote => !vote.IsRepeat && vote.Choice != VoteChoice.Skip).Select(vote => (Pair: int.Parse(vote.PairId), vote.Annotator))
            .Concat(others.Select(lease => (lease.Pair, lease.Annotator))).ToLookup(judge => judge.Pair, judge => judge.Annotator);

        var next = new List<(int Pair, int Round)>();
        var repeats = new Queue<int>(Repeats(campaign, own));
        next.AddRange(repeats.Take(count).Select(pair => (pair, 1)));
        foreach (var pair in pairs)
        {
            if (next.Count == count) break;
            if (seen.Contains($"{pair.Index}") || judges[pair.Index].Distinct().Count() >= Wanted(campaign, pair)) continue;
            next.Add((pair.Index, 0));
        }

        var until = now.AddMinutes(campaign.LeaseMinutes);
        return (next, new LeaseBook([.. others, .. next.Where(item => item.Round == 0).Select(item => new Lease(item.Pair, annotator, until))]));
    }

    /// <summary>Which response an annotator sees first: drawn, and the other one when he sees the pair again.</summary>
    public static VoteChoice ShownFirst(CampaignRequest campaign, string annotator, int pair, int round)
    {
        bool isA = Seeds.Uniform(Seeds.Derive((ulong)campaign.Seed, $"shown first {annotator}", pair), 0) < 0.5;
        return isA == (round == 0) ? VoteChoice.A : VoteChoice.B;
    }

    /// <summary>A pair as an annotator sees it.</summary>
    public static PairToJudge Show(CampaignRequest campaign, CampaignPair pair, string annotator, int round)
    {
        var (first, second) = ShownFirst(campaign, annotator, pair.Index, round) == VoteChoice.A ? (pair.A, pair.B) : (pair.B, pair.A);
        return new PairToJudge(pair.Index, round, pair.Dialogue, first, second);
    }

    /// <summary>The event that a vote becomes.</summary>
    public static VoteEvent Record(CampaignRequest campaign, CampaignPair pair, string annotator, VoteMessage vote, DateTimeOffset now)
    {
        return new VoteEvent(vote, annotator, ShownFirst(campaign, annotator, pair.Index, vote.Round), Hash($"{pair.Dialogue}\n{pair.A}\n{pair.B}"), now)
        {
            ModelsSha256 = pair.ModelA is null ? null : Hash($"{pair.ModelA}\n{pair.ModelB}"),
        };
    }

    /// <summary>About how many votes are wanted of a single annotator.</summary>
    public static int WantedOf(CampaignRequest campaign)
    {
        return campaign.Pairs + (int)(campaign.Pairs * campaign.RepeatShare);
    }

    private static string Hash(string text)
    {
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
    }

    private static int Wanted(CampaignRequest campaign, CampaignPair pair)
    {
        if (pair.Gold is not null) return int.MaxValue;
        return Seeds.Uniform(Seeds.Derive((ulong)campaign.Seed, "overlap", pair.Index), 0) < campaign.Overlap ? 2 : 1;
    }

    /// <summary>Pairs that are due to be seen again: so many that repeats keep their share, the earliest first, none that has just been seen.</summary>
    private static IEnumerable<int> Repeats(CampaignRequest campaign, CountedVote[] own)
    {
        var fresh = own.Where(vote => !vote.IsRepeat).ToArray();
        var again = own.Where(vote => vote.IsRepeat).Select(vote => vote.PairId).ToHashSet();
        int due = (int)(fresh.Length * campaign.RepeatShare) - again.Count;
        return fresh.SkipLast(RepeatDistance)
            .Where(vote => vote.Choice != VoteChoice.Skip && vote.Gold is null && !again.Contains(vote.PairId))
            .Take(due).Select(vote => int.Parse(vote.PairId));
    }
}
