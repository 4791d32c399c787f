using System.Text.Json;
using RlhfFunctions.Campaigns;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Campaigns;

/// <summary>An open campaign in Blob storage whose pairs nobody generated, and votes on them.</summary>
internal sealed class PlantedCampaign(BlobFiles blobs, CampaignRequest request, IReadOnlyList<CampaignPair> pairs)
{
    /// <summary>Pairs of two policies about dialogues of their own; a is civil. The last few are gold ones.</summary>
    public static async Task<PlantedCampaign> PlantAsync(
        BlobFiles blobs, string id, int pairs, string policyA, string policyB, Func<CampaignRequest, CampaignRequest> change, int gold = 0)
    {
        var request = change(new CampaignRequest
        {
            CampaignId = id,
            Model = new ModelSettings { Source = "file:samples/models/llama" },
            Dialogues = "file:samples/dialogues/validation.csv",
            Pairs = pairs,
        });
        CampaignPair[] all = [.. Enumerable.Range(0, pairs).Select(i =>
            new CampaignPair(i, $"d{i}", $"#Person1#: Hello {i}.", $"Tom sounds kind {i}.", $"Tom sounds rude {i}.", policyA, policyB, 1)
            {
                Gold = i < pairs - gold ? null : VoteChoice.A,
            })];
        await blobs.TryRecordAsync(BlobPaths.Campaign(id), request, CancellationToken.None);
        var files = new Dictionary<string, byte[]> { [CampaignRecords.PairsFile] = JsonSerializer.SerializeToUtf8Bytes(all, ContractsJson.Options) };
        await new ArtifactStore(blobs).MakeOnceAsync(BlobPaths.Pairs(id, 0), _ => Task.FromResult(new NewArtifact<int>(files, pairs)), CancellationToken.None);
        return new PlantedCampaign(blobs, request, all);
    }

    /// <summary>An annotator's votes, by pair.</summary>
    public Task VoteAsync(string annotator, IEnumerable<(int Pair, VoteChoice Choice)> votes, DateTimeOffset? at = null)
    {
        var events = votes.Select(vote => PairQueue.Record(request, pairs[vote.Pair], annotator, Message(annotator, vote.Pair, vote.Choice), at ?? DateTimeOffset.UtcNow));
        return new CampaignVotes(blobs).AddAsync(request.CampaignId!, annotator, [.. events], CancellationToken.None);
    }

    private VoteMessage Message(string annotator, int pair, VoteChoice choice)
    {
        var shown = choice == VoteChoice.Tie ? ShownChoice.Tie
            : choice == PairQueue.ShownFirst(request, annotator, pair, round: 0) ? ShownChoice.First : ShownChoice.Second;
        return new VoteMessage { Id = $"vote-of-{annotator}-{pair}", Pair = pair, Choice = shown, Seconds = 1 };
    }
}
