using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Campaigns;

/// <summary>
/// The votes of a campaign: for each annotator a blob of JSON Lines to which events are only added. A vote is there once its answer
/// is; sent again, it counts once. To be forgotten is to have one's blob deleted.
/// </summary>
public sealed class CampaignVotes(BlobFiles blobs)
{
    /// <summary>Adds what is not there yet.</summary>
    public async Task AddAsync(string campaignId, string annotator, IReadOnlyList<VoteEvent> events, CancellationToken cancellation)
    {
        var known = (await ReadAsync(campaignId, annotator, cancellation)).Select(e => e.Vote.Id).ToHashSet();
        string lines = string.Concat(events.Where(e => known.Add(e.Vote.Id)).Select(e => JsonSerializer.Serialize(e, ContractsJson.Options) + "\n"));
        if (lines.Length > 0) await blobs.AppendAsync(BlobPaths.Votes(campaignId, annotator), BinaryData.FromString(lines), cancellation);
    }

    /// <summary>An annotator's events, in the order in which they came.</summary>
    public async Task<IReadOnlyList<VoteEvent>> ReadAsync(string campaignId, string annotator, CancellationToken cancellation)
    {
        string lines = await blobs.ReadTextAsync(BlobPaths.Votes(campaignId, annotator), cancellation) ?? "";
        return [.. lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonSerializer.Deserialize<VoteEvent>(line, ContractsJson.Options)!)];
    }

    /// <summary>Everybody's events, each annotator's in order.</summary>
    public async Task<IReadOnlyList<VoteEvent>> ReadAllAsync(string campaignId, CancellationToken cancellation)
    {
        string folder = BlobPaths.Votes(campaignId);
        var events = new List<VoteEvent>();
        foreach (var blob in await blobs.ListAsync(folder, cancellation))
            events.AddRange(await ReadAsync(campaignId, Path.GetFileNameWithoutExtension(blob.Path), cancellation));
        return events;
    }

    /// <summary>Forgets all that an annotator said.</summary>
    public Task DeleteAsync(string campaignId, string annotator, CancellationToken cancellation)
    {
        return blobs.DeleteAsync(BlobPaths.Votes(campaignId, annotator), cancellation);
    }

    /// <summary>The votes that count: what was sent twice counts once, what was taken back does not, and the last word on a pair is the word.</summary>
    public static IReadOnlyList<CountedVote> Count(IEnumerable<VoteEvent> events, IReadOnlyList<CampaignPair> pairs)
    {
        var all = events.DistinctBy(e => (e.Annotator, e.Vote.Id)).ToArray();
        var undone = all.Where(e => e.Vote.Undoes is not null).Select(e => (e.Annotator, e.Vote.Undoes)).ToHashSet();
        return [.. all
            .Where(e => e.Vote.Undoes is null && !undone.Contains((e.Annotator, e.Vote.Id)))
            .GroupBy(e => (e.Annotator, e.Vote.Pair, e.Vote.Round))
            .Select(group => Counted(group.Last(), pairs[group.Key.Pair]))];
    }

    /// <summary>What was said of the responses, whichever stood first.</summary>
    public static VoteChoice ChoiceOf(ShownChoice shown, VoteChoice shownFirst)
    {
        return shown switch
        {
            ShownChoice.First => shownFirst,
            ShownChoice.Second => shownFirst == VoteChoice.A ? VoteChoice.B : VoteChoice.A,
            ShownChoice.Tie => VoteChoice.Tie,
            ShownChoice.BothBad => VoteChoice.BothBad,
            _ => VoteChoice.Skip,
        };
    }

    private static CountedVote Counted(VoteEvent last, CampaignPair pair)
    {
        var vote = last.Vote;
        return new CountedVote(last.Annotator, $"{vote.Pair}", pair.DialogueId, ChoiceOf(vote.Choice, last.ShownFirst), last.ShownFirst, vote.Seconds)
        {
            IsRepeat = vote.Round > 0,
            Gold = pair.Gold,
            LengthLead = pair.A.Length - pair.B.Length,
            PolicyA = pair.PolicyA,
            PolicyB = pair.PolicyB,
        };
    }
}
