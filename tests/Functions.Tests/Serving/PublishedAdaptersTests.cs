using RlhfFunctions.Campaigns;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.Campaigns;
using RlhfFunctions.Functions.Tests.EndToEnd;
using RlhfFunctions.Serving;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Serving;

/// <summary>Which adapter serves never depends on who writes last.</summary>
[Collection(BlobPaths.LatestAdapter)]
public sealed class PublishedAdaptersTests : IAsyncLifetime
{
    private static readonly DateTimeOffset Monday = new(2026, 3, 2, 0, 0, 0, TimeSpan.Zero);

    private readonly string _run = $"p{Guid.NewGuid():n}";
    private readonly BlobFiles _blobs;
    private readonly ArtifactStore _artifacts;
    private readonly RunRequests _requests;
    private readonly PublishedAdapters _adapters;

    public PublishedAdaptersTests(AzuriteFixture azurite)
    {
        _blobs = new BlobFiles(azurite.Blobs);
        _artifacts = new ArtifactStore(_blobs);
        _requests = new RunRequests(_blobs);
        _adapters = new PublishedAdapters(_requests, new HumanJudgement(new CampaignRecords(_blobs, _artifacts), new CampaignVotes(_blobs)), _artifacts, _blobs);
    }

    public async ValueTask InitializeAsync()
    {
        await _blobs.DeleteAsync(BlobPaths.LatestAdapter, CancellationToken.None);
    }

    public ValueTask DisposeAsync()
    {
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_publication_that_is_delivered_late_or_again_takes_its_old_place()
    {
        var (a, b, c) = (await FinishAsync("a", 0), await FinishAsync("b", 1), await FinishAsync("c", 2));
        await PublishAsync(a);
        await PublishAsync(c);
        Assert.Equal(c.RunId, (await PublishAsync(b)).RunId); // a zombie
        var before = await _adapters.FindLatestAsync(CancellationToken.None);
        foreach (var again in new[] { a, b, c }) Assert.Equal(c.RunId, (await PublishAsync(again)).RunId);
        var latest = await _adapters.FindLatestAsync(CancellationToken.None);
        Assert.Equal(before!.History, latest!.History);
        Assert.Equal([a.RunId, b.RunId, c.RunId], latest.History.Select(change => change.RunId));
    }

    [Fact]
    public async Task Of_runs_that_publish_at_once_the_newest_serves_whoever_writes_last()
    {
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 8).Select(day => FinishAsync($"{day}", day)));
        await Task.WhenAll(outcomes.Reverse().Select(PublishAsync));
        var latest = await _adapters.FindLatestAsync(CancellationToken.None);
        Assert.Equal(outcomes[^1].RunId, latest!.RunId);
        Assert.Equal(outcomes.Select(outcome => outcome.RunId), latest.History.Select(change => change.RunId));
    }

    [Fact]
    public async Task Rolling_back_leads_to_the_last_that_served_well_and_only_once()
    {
        foreach (int day in new[] { 0, 1, 2 }) await PublishAsync(await FinishAsync($"{day}", day));
        Assert.Equal(Id("1"), (await RollBackAsync("2")).RunId);
        Assert.Equal(Id("1"), (await RollBackAsync("2")).RunId); // delivered again
        Assert.Equal(Id("0"), (await RollBackAsync("1")).RunId); // not back to 2
        var change = (await _adapters.FindLatestAsync(CancellationToken.None))!.History[^1];
        Assert.Equal((AdapterChangeKind.RolledBack, Id("1"), "it fell"), (change.Kind, change.TakenBack, change.Reason));
        var none = await Assert.ThrowsAsync<InvalidInputException>(() => RollBackAsync("0"));
        Assert.Contains(Id("0"), none.Message, StringComparison.Ordinal);
        Assert.Equal(Id("0"), (await _adapters.FindLatestAsync(CancellationToken.None))!.RunId);
        Assert.Equal(Id("0"), (await PublishAsync(await OutcomeAsync("2"))).RunId); // what was taken back stays so
    }

    [Fact]
    public async Task Rolling_back_passes_over_what_is_damaged()
    {
        foreach (int day in new[] { 0, 1, 2 }) await PublishAsync(await FinishAsync($"{day}", day));
        await _blobs.ReplaceAsync($"{BlobPaths.Run(Id("1"))}/manifest.json", BinaryData.FromString("{}"), CancellationToken.None);
        Assert.Equal(Id("0"), (await RollBackAsync("2")).RunId);
    }

    [Fact]
    public async Task Any_finished_run_can_be_promoted_and_a_redelivered_publication_does_not_undo_it()
    {
        var (a, b) = (await FinishAsync("a", 0), await FinishAsync("b", 1));
        await PublishAsync(a);
        await PublishAsync(b);
        Assert.Equal(a.RunId, (await _adapters.PromoteAsync(a.RunId, campaignId: null, CancellationToken.None)).RunId);
        Assert.Equal(a.RunId, (await PublishAsync(b)).RunId);
        Assert.Equal(b.RunId, (await RollBackAsync("a")).RunId);
        await Assert.ThrowsAsync<InvalidInputException>(() => _adapters.PromoteAsync(Id("unknown"), campaignId: null, CancellationToken.None));
    }

    [Fact]
    public async Task Where_people_decide_an_adapter_serves_only_once_enough_of_them_preferred_it_to_what_serves()
    {
        await FinishAsync("judged", 0, request => request with { Evaluation = request.Evaluation with { MinHumanWinRate = 0.55 } });
        await RefusedAsync(null, "?campaign=ID", $"[\"{Id("judged")}\"]");
        await RefusedAsync("no-such", "There is no campaign");

        // Nothing serves: its own base model is the rival.
        await CampaignAsync("fair", [Id("judged")], votes: 40, wins: 38);
        await CampaignAsync("other-model", [Id("judged")], votes: 40, wins: 38, request => request with { Model = new ModelSettings { Source = "file:another" } });
        await CampaignAsync("few", [Id("judged")], votes: 29, wins: 29);
        await CampaignAsync("even", [Id("judged")], votes: 40, wins: 24);
        await RefusedAsync("other-model", "compares something else");
        await RefusedAsync("few", "29 votes", "at least 30");
        await RefusedAsync("even", "60 % (", "lower end");
        Assert.Null(await _adapters.FindLatestAsync(CancellationToken.None));
        var serving = await _adapters.PromoteAsync(Id("judged"), Id("fair"), CancellationToken.None);
        Assert.Equal(Id("judged"), serving.RunId);
        Assert.Matches($@"^It was preferred in 95 % \(\d\d – 100\) of 40 votes of campaign {Id("fair")}\.$", serving.History[^1].Reason);
        Assert.Equal(Id("judged"), (await _adapters.PromoteAsync(Id("judged"), campaignId: null, CancellationToken.None)).RunId); // it serves already

        // Another one serves: what was said against the base no longer counts.
        await PublishAsync(await FinishAsync("next", 365 * 5));
        await RefusedAsync("fair", "compares something else", Id("next"));
        await CampaignAsync("against-next", [Id("next"), Id("judged")], votes: 35, wins: 33);
        Assert.Equal(Id("judged"), (await _adapters.PromoteAsync(Id("judged"), Id("against-next"), CancellationToken.None)).RunId);

        // What was taken back counts no more.
        await PublishAsync(await FinishAsync("last", 365 * 6));
        await CampaignAsync("against-last", [Id("judged"), Id("last")], votes: 31, wins: 31);
        await new CampaignVotes(_blobs).DeleteAsync(Id("against-last"), "ann", CancellationToken.None);
        await RefusedAsync("against-last", "0 votes");

        async Task RefusedAsync(string? campaign, params string[] says)
        {
            var refused = await Assert.ThrowsAsync<InvalidInputException>(() => _adapters.PromoteAsync(Id("judged"), campaign is null ? null : Id(campaign), CancellationToken.None));
            Assert.All(says, text => Assert.Contains(text, refused.Message, StringComparison.Ordinal));
        }

        async Task<PlantedCampaign> CampaignAsync(string name, string[] runs, int votes, int wins, Func<CampaignRequest, CampaignRequest>? change = null)
        {
            string rival = runs.FirstOrDefault(run => run != Id("judged"), "base");
            var campaign = await PlantedCampaign.PlantAsync(_blobs, Id(name), 50, Id("judged"), rival, request => (change ?? (same => same))(request with { Runs = runs }));
            await campaign.VoteAsync("ann", Enumerable.Range(0, votes).Select(pair => (pair, pair < wins ? VoteChoice.A : VoteChoice.B)).Append((votes, VoteChoice.Tie)));
            return campaign;
        }
    }

    [Fact]
    public async Task A_damaged_pointer_is_named_and_the_next_publication_mends_it()
    {
        await _blobs.ReplaceAsync(BlobPaths.LatestAdapter, BinaryData.FromString("{\"runId\":\"x\"}"), CancellationToken.None);
        var named = await Assert.ThrowsAsync<CorruptArtifactException>(() => _adapters.FindLatestAsync(CancellationToken.None));
        Assert.Contains(BlobPaths.LatestAdapter, named.Message, StringComparison.Ordinal);
        await FinishAsync("whole", 0);
        await FinishAsync("broken", 0);
        string broken = $"{BlobPaths.Run(Id("broken"))}/manifest.json";
        await _blobs.ReplaceAsync(broken, BinaryData.FromString("[]"), CancellationToken.None);

        var list = await _adapters.ListAsync(CancellationToken.None);
        Assert.Contains(Id("whole"), list.Adapters.Select(adapter => adapter.RunId));
        Assert.DoesNotContain(Id("broken"), list.Adapters.Select(adapter => adapter.RunId));
        foreach (string blob in new[] { broken, BlobPaths.LatestAdapter })
            Assert.Contains(list.Damaged!, problem => problem.Contains(blob, StringComparison.Ordinal));

        Assert.Equal(Id("whole"), (await PublishAsync(await OutcomeAsync("whole"))).RunId);
        await _artifacts.DeleteAsync(BlobPaths.Run(Id("broken")), CancellationToken.None);
    }

    private string Id(string name)
    {
        return $"{_run}-{name}";
    }

    private Task<LatestAdapter> PublishAsync(RunOutcome outcome)
    {
        return _adapters.PublishAsync(outcome, CancellationToken.None);
    }

    private Task<LatestAdapter> RollBackAsync(string name)
    {
        return _adapters.RollBackAsync(Id(name), "it fell", CancellationToken.None);
    }

    private async Task<RunOutcome> OutcomeAsync(string name)
    {
        return (await _artifacts.GetAsync<RunOutcome>(BlobPaths.Run(Id(name)), CancellationToken.None)).Result;
    }

    /// <summary>A run that ended on that day, with one file published and its last checkpoint.</summary>
    private async Task<RunOutcome> FinishAsync(string name, int day, Func<RunRequest, RunRequest>? change = null)
    {
        var outcome = new RunOutcome(Id(name), 0.5, 0.1, Published: true, new PreparedRun("models/base", [], "models/judge", "dataset"), Steps: 1) { PublishedAt = Monday.AddDays(day) };
        await _requests.TryRecordAsync((change ?? (same => same))(TinyRun.Request(outcome.RunId)), CancellationToken.None);
        var files = new Dictionary<string, byte[]> { ["file"] = [1] };
        await _artifacts.MakeOnceAsync(BlobPaths.Checkpoint(outcome.RunId, 1), _ => Task.FromResult(new NewArtifact<string>(files, "")), CancellationToken.None);
        return await _artifacts.PublishOnceAsync(BlobPaths.Run(outcome.RunId), _ => Task.FromResult(new NewArtifact<RunOutcome>(files, outcome)), CancellationToken.None);
    }
}
