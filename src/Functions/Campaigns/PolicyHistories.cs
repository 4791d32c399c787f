using System.Globalization;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Preferences;
using RlhfFunctions.Reports;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Campaigns;

/// <summary>Follows what requests name, both ways: votes → reward model → run → votes.</summary>
public sealed class PolicyHistories(
    RunRequests runs, CampaignRecords campaigns, CampaignVotes votes, RewardRecords rewards, ArtifactStore artifacts, BlobFiles blobs)
{
    private const int ReadAtOnce = 16;

    /// <summary>All that a run's policy was made of, and all that was made of it, the oldest first.</summary>
    internal async Task<IReadOnlyList<HistoryStep>> OfAsync(string runId, CancellationToken cancellation)
    {
        var steps = new List<HistoryStep>();
        foreach (var station in Connected(await ReadAllAsync(cancellation), new HistoryItem(HistoryKind.Run, runId)))
            steps.Add(new HistoryStep(station.Item, station.At, station.From, await ResultAsync(station.Item, cancellation)));
        return steps;
    }

    /// <summary>What the item was made of, and what was made of it, the oldest first; of what is named and not there nothing is told.</summary>
    internal static IReadOnlyList<Station> Connected(IReadOnlyList<Station> all, HistoryItem item)
    {
        var from = all.ToDictionary(station => station.Item, station => station.From);
        var into = all.SelectMany(station => station.From.Select(source => (source, station.Item))).ToLookup(pair => pair.source, pair => pair.Item);
        var connected = Reach(item, one => from.GetValueOrDefault(one, [])).Union(Reach(item, one => into[one])).ToHashSet();
        return [.. all.Where(station => connected.Contains(station.Item)).OrderBy(station => station.At).ThenBy(station => station.Item.Kind)];
    }

    private static HashSet<HistoryItem> Reach(HistoryItem start, Func<HistoryItem, IEnumerable<HistoryItem>> next)
    {
        var reached = new HashSet<HistoryItem>();
        var open = new Stack<HistoryItem>([start]);
        while (open.TryPop(out var item))
        {
            if (!reached.Add(item)) continue;
            foreach (var other in next(item)) open.Push(other);
        }

        return reached;
    }

    private async Task<IReadOnlyList<Station>> ReadAllAsync(CancellationToken cancellation)
    {
        return
        [
            .. await ReadAsync(HistoryKind.Run, BlobPaths.Runs, BlobPaths.Request, runs.FindAsync, SourcesOf, cancellation),
            .. await ReadAsync(HistoryKind.RewardModel, BlobPaths.Rewards, BlobPaths.Reward, rewards.FindAsync, SourcesOf, cancellation),
            .. await ReadAsync(HistoryKind.Votes, BlobPaths.Campaigns, BlobPaths.Campaign, campaigns.FindAsync, SourcesOf, cancellation),
        ];
    }

    private async Task<IReadOnlyList<Station>> ReadAsync<T>(
        HistoryKind kind, string container, Func<string, string> pathOf, Func<string, CancellationToken, Task<T?>> find, Func<T, IEnumerable<HistoryItem>> sourcesOf,
        CancellationToken cancellation)
        where T : class
    {
        var stations = new List<Station>();
        foreach (string[] ids in (await blobs.ListFoldersAsync(container, cancellation)).Chunk(ReadAtOnce))
            stations.AddRange((await Task.WhenAll(ids.Select(ReadOneAsync))).OfType<Station>());
        return stations;

        async Task<Station?> ReadOneAsync(string id)
        {
            try
            {
                return await find(id, cancellation) is { } request && await blobs.FindCreationTimeAsync(pathOf(id), cancellation) is { } at
                    ? new Station(new HistoryItem(kind, id), at, [.. sourcesOf(request).Distinct()])
                    : null;
            }
            catch (CorruptArtifactException)
            {
                return null; // what is damaged keeps no other from being told of
            }
        }
    }

    private static IEnumerable<HistoryItem> SourcesOf(RunRequest run)
    {
        var models = run.Reward?.Classifiers.Select(classifier => RewardOf(classifier.Source)).OfType<HistoryItem>() ?? [];
        return run.Data.PreferencesCampaign is { } campaign ? models.Append(new HistoryItem(HistoryKind.Votes, campaign)) : models;
    }

    private static IEnumerable<HistoryItem> SourcesOf(RewardRequest reward)
    {
        return [new HistoryItem(HistoryKind.Votes, reward.CampaignId)];
    }

    private static IEnumerable<HistoryItem> SourcesOf(CampaignRequest campaign)
    {
        var policies = campaign.Runs.Select(run => new HistoryItem(HistoryKind.Run, run));
        return campaign.UncertainBy is { } source && RewardOf(source) is { } reward ? policies.Append(reward) : policies;
    }

    /// <summary>The reward model of ours that a source would be, by its first or a further model; whether there is one, the records know.</summary>
    private static HistoryItem? RewardOf(string source)
    {
        return Source.Parse(source) is BlobSource { Path: var path } && path.StartsWith($"{BlobPaths.Models}/", StringComparison.Ordinal)
            ? new HistoryItem(HistoryKind.RewardModel, path[(BlobPaths.Models.Length + 1)..].Split('.')[0])
            : null;
    }

    private async Task<string> ResultAsync(HistoryItem item, CancellationToken cancellation)
    {
        try
        {
            return item.Kind switch
            {
                HistoryKind.Votes => await VotesAsync(item.Id, cancellation),
                HistoryKind.RewardModel => await rewards.FindOutcomeAsync(item.Id, cancellation) is { Report: var report }
                    ? string.Create(CultureInfo.InvariantCulture, $"It orders {100 * report.Accuracy.Mean:F0} % ({100 * report.Accuracy.Low:F0} – {100 * report.Accuracy.High:F0}) of held-out votes as people did.")
                    : "Not trained yet.",
                _ => await RunAsync(item.Id, cancellation),
            };
        }
        catch (CorruptArtifactException e)
        {
            return e.Message;
        }
    }

    private async Task<string> VotesAsync(string campaignId, CancellationToken cancellation)
    {
        var campaign = await campaigns.GetAsync(campaignId, cancellation);
        if (await campaigns.FindPairsAsync(campaign, cancellation) is not { } pairs) return "No pairs yet.";
        var statistics = VoteCounts.Of(CampaignVotes.Count(await votes.ReadAllAsync(campaignId, cancellation), pairs), (ulong)campaign.Seed);
        // Of two policies' rates each is the other's rest: that of the first run is told.
        var wins = statistics.WinRates.FirstOrDefault(rate => campaign.Runs.Count > 0 && rate.Policy == campaign.Runs[0]);
        return wins is null
            ? $"{statistics.Votes} votes, {statistics.Decided} of them for one side."
            : string.Create(CultureInfo.InvariantCulture, $"{wins.Policy} was preferred to {wins.Against} in {100 * wins.Mean:F0} % ({100 * wins.Low:F0} – {100 * wins.High:F0}) of {wins.Decided} votes; {wins.Ties} ties.");
    }

    private async Task<string> RunAsync(string runId, CancellationToken cancellation)
    {
        if (await artifacts.FindAsync<RunOutcome>(BlobPaths.Run(runId), cancellation) is not { Result: var outcome }) return "Not finished.";
        string label = (await runs.GetAsync(runId, cancellation)).Evaluation.Label;
        return outcome is { LabelBefore: { } before, LabelAfter: { } after }
            ? string.Create(CultureInfo.InvariantCulture, $"Probability of {label} {before:F3} before, {after:F3} after.")
            : "Finished; no judge measured it.";
    }

    /// <summary>A request, when it was made, and what it names.</summary>
    internal sealed record Station(HistoryItem Item, DateTimeOffset At, IReadOnlyList<HistoryItem> From);
}
