using System.Text.Json;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Hosting;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Campaigns;

/// <summary>A campaign is its request and its pairs; the engine only knows how their making fares.</summary>
public sealed class CampaignRecords(BlobFiles blobs, ArtifactStore artifacts)
{
    /// <summary>The one file of a shard of pairs.</summary>
    public const string PairsFile = "pairs.json";

    private volatile Cached? _last;

    /// <summary>The campaign's orchestration. No run's id has a dot.</summary>
    public static string InstanceOf(string campaignId)
    {
        return $"campaign.{campaignId}";
    }

    /// <summary>Records a campaign and starts it; false when another request has its id.</summary>
    public async Task<bool> StartAsync(DurableTaskClient engine, CampaignRequest request, CancellationToken cancellation)
    {
        string id = request.CampaignId!;
        if (!await blobs.TryRecordAsync(BlobPaths.Campaign(id), request, cancellation)) return false;
        var state = new CampaignState(id, request.Model.Source, request.Pairs, request.UncertainBy);
        await engine.StartOnceAsync(FunctionNames.Campaign, InstanceOf(id), state, cancellation);
        return true;
    }

    /// <summary>The request of a campaign, or null when there is no such campaign.</summary>
    public Task<CampaignRequest?> FindAsync(string campaignId, CancellationToken cancellation)
    {
        return RunId.IsValid(campaignId)
            ? blobs.ReadJsonAsync<CampaignRequest>(BlobPaths.Campaign(campaignId), cancellation)
            : Task.FromResult<CampaignRequest?>(null);
    }

    /// <summary>The request of a campaign that must be there.</summary>
    public async Task<CampaignRequest> GetAsync(string campaignId, CancellationToken cancellation)
    {
        return await FindAsync(campaignId, cancellation) ?? throw new CorruptArtifactException(BlobPaths.Campaign(campaignId), "is missing");
    }

    /// <summary>All pairs, in order, once they are all there; null before.</summary>
    public async Task<IReadOnlyList<CampaignPair>?> FindPairsAsync(CampaignRequest request, CancellationToken cancellation)
    {
        string id = request.CampaignId!;
        if (_last is { } last && last.CampaignId == id) return last.Pairs;
        var pairs = new List<CampaignPair>();
        for (int shard = 0; shard * GeneratePairsInput.ShardSize < request.Pairs; shard++)
        {
            string path = BlobPaths.Pairs(id, shard);
            if (await artifacts.FindAsync<int?>(path, cancellation) is null) return null;
            var files = await artifacts.ReadFilesAsync(path, cancellation);
            pairs.AddRange(JsonSerializer.Deserialize<CampaignPair[]>(files[PairsFile], ContractsJson.Options)!);
        }

        _last = new Cached(id, pairs); // they never change
        return pairs;
    }

    private sealed record Cached(string CampaignId, IReadOnlyList<CampaignPair> Pairs);
}
