using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using RlhfFunctions.Campaigns;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.Reports;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>A campaign over HTTP, in two browsers at once, through a killed host, to a reward model.</summary>
public sealed class CampaignTests
{
    private const string Id = "garden", Remark = "It says what was said";
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    [Fact]
    public async Task Votes_of_two_annotators_outlive_the_host_become_reward_models_and_steer_a_run()
    {
        using var app = new LocalApp { IsVerbose = true };
        await app.StartAsync();
        using (var answer = await app.Http.PostAsJsonAsync("/api/campaigns", Request, ContractsJson.Options)) Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
        using (var again = await app.Http.PostAsJsonAsync("/api/campaigns", Request, ContractsJson.Options)) Assert.Equal(HttpStatusCode.Accepted, again.StatusCode);
        using (var other = await app.Http.PostAsJsonAsync("/api/campaigns", Request with { Seed = 99 }, ContractsJson.Options)) Assert.Equal(HttpStatusCode.Conflict, other.StatusCode);
        await WaitAsync(app, async () => (await GetAsync<CampaignView>(app, $"/api/campaigns/{Id}")).Status == "Open");

        // Two at once, and the host is killed in the middle of it: what was acknowledged is there afterwards.
        var kept = (await Task.WhenAll(VoteAsync(app, "ann", 10), VoteAsync(app, "bob", 10))).SelectMany(ids => ids).ToArray();
        await app.WaitUntilSavedAsync(BlobPaths.Votes(Id, "bob"), Patience);
        await Task.Delay(TimeSpan.FromSeconds(6)); // Azurite's books of the last blocks; storage in Azure has none of that
        await app.KillHostAsync();
        await app.StartAsync();
        kept = [.. kept, .. (await Task.WhenAll(VoteAsync(app, "ann", 40), VoteAsync(app, "bob", 40))).SelectMany(ids => ids)];
        var events = await EventsAsync(app);
        Assert.Equal(kept.Order(), events.Select(e => e.Vote.Id).Order());
        Assert.All(events.Where(e => e.Vote.Round == 0).GroupBy(e => e.Vote.Pair), group => Assert.Single(group.Select(e => e.Annotator).Distinct())); // nobody judged what the other did
        Assert.Equal(Request.Pairs, events.Where(e => e.Vote.Round == 0).Select(e => e.Vote.Pair).Distinct().Count());

        // Sent again it changes nothing, and a pair that is not there is refused.
        using (var again = await PostAsync(app, "ann", events[0].Vote)) Assert.Equal(HttpStatusCode.OK, again.StatusCode);
        Assert.Equal(events.Count, (await EventsAsync(app)).Count);
        using (var wrong = await PostAsync(app, "ann", events[0].Vote with { Id = "another-one", Pair = 5000 })) Assert.Equal(HttpStatusCode.BadRequest, wrong.StatusCode);

        string dpo = await app.Http.GetStringAsync(new Uri($"/api/campaigns/{Id}/export", UriKind.Relative));
        using (var line = JsonDocument.Parse(dpo.Split('\n')[0]))
            Assert.Equal(["prompt", "chosen", "rejected"], line.RootElement.EnumerateObject().Select(p => p.Name));
        string kto = await app.Http.GetStringAsync(new Uri($"/api/campaigns/{Id}/export?format=kto", UriKind.Relative));
        Assert.Equal(2 * dpo.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length, kto.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        var statistics = await GetAsync<VoteStatistics>(app, $"/api/campaigns/{Id}/statistics");
        Assert.Equal(["ann", "bob"], statistics.Annotators.Select(a => a.Annotator));
        Assert.Contains("Krippendorff", await app.Http.GetStringAsync(new Uri($"/api/campaigns/{Id}/statistics?format=html", UriKind.Relative)), StringComparison.Ordinal);

        var reward = new RewardRequest { RewardId = "short", CampaignId = Id, Base = "file:samples/models/llama", Seeds = 2, Training = new() { Folds = 2, LearningRate = 1e-3 } };
        using (var answer = await app.Http.PostAsJsonAsync("/api/rewards", reward, ContractsJson.Options)) Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
        await WaitAsync(app, async () =>
        {
            var view = await GetAsync<RewardView>(app, "/api/rewards/short");
            Assert.False(view.Status == "Failed", view.Failure);
            return view.Outcome is not null;
        });
        var outcome = (await GetAsync<RewardView>(app, "/api/rewards/short")).Outcome!;
        Assert.InRange(outcome.Report.Decided, 4, Request.Pairs);
        Assert.NotNull(outcome.Report.Refusal); // they voted for the shorter one: that rule is better than any model of it
        Assert.Equal(["models/short", "models/short.1"], outcome.Ensemble!.Members.Select(member => member.Model));
        string report = await app.Http.GetStringAsync(new Uri("/api/rewards/short/report", UriKind.Relative));
        Assert.All(["Reliability", "models/short.1", "mean of their scores"], text => Assert.Contains(text, report, StringComparison.Ordinal));
        await SteerAsync(app, [.. outcome.Ensemble.Members.Select(member => $"blob:{member.Model}")]);
        await DrawByUnsurenessAsync(app);
        foreach (string said in new[] { (await GetAsync<NextPairs>(app, "/api/campaigns/unsure/next?annotator=eve")).Pairs[0].Dialogue, Remark })
            Assert.DoesNotContain(said.Split('\n')[0], app.Log, StringComparison.Ordinal);
        Assert.Contains(FunctionNames.TrainReward, app.Log, StringComparison.Ordinal); // while the rest is logged

        using (var gone = await app.Http.DeleteAsync(new Uri($"/api/campaigns/{Id}/votes/ann", UriKind.Relative))) Assert.Equal(HttpStatusCode.NoContent, gone.StatusCode);
        Assert.All(await EventsAsync(app), e => Assert.Equal("bob", e.Annotator));
    }

    /// <summary>A run whose reward is the two models by name: refused as weak, taken where that is acknowledged, held until people decide, and told in its history.</summary>
    private static async Task SteerAsync(LocalApp app, string[] models)
    {
        ClassifierTerm[] members = [.. models.Select(model => new ClassifierTerm { Source = model, Label = "better" })];
        var request = TinyRun.Request("steered", steps: 1);
        request = request with { Evaluation = request.Evaluation with { MinHumanWinRate = 0.5, MinRougeShare = 0 } };
        using (var refused = await app.PostRunAsync(request with { Reward = new RewardSettings { Terms = [new EnsembleTerm { Members = members }] } }))
        {
            Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
            Assert.Contains("should not steer a run", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        var term = new EnsembleTerm { Members = [.. members.Select(member => member with { AcceptWeak = true })] };
        using (var accepted = await app.PostRunAsync(request with { Reward = new RewardSettings { Terms = [term] } }))
            Assert.True(accepted.StatusCode == HttpStatusCode.Accepted, await accepted.Content.ReadAsStringAsync());
        var view = await app.WaitAsync("steered", view => view.Status == "Completed", Patience);
        Assert.NotEqual(0, view.Progress!.LastStep!.Reward);
        Assert.False(view.Outcome!.Published);

        using (var held = await app.Http.PostAsJsonAsync($"/api/adapters/steered/promote?campaign={Id}", new { }))
        {
            Assert.Equal(HttpStatusCode.Conflict, held.StatusCode);
            Assert.Contains("not-preferred", await held.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        // The votes themselves teach another run, without a reward model between.
        var voted = TinyRun.By(AlgorithmName.Dpo, "voted", steps: 1);
        using (var accepted = await app.PostRunAsync(voted with { Data = voted.Data with { Preferences = $"campaign:{Id}" } }))
            Assert.True(accepted.StatusCode == HttpStatusCode.Accepted, await accepted.Content.ReadAsStringAsync());
        await app.WaitAsync("voted", view => view.Status == "Completed", Patience);
        Assert.Contains($">votes {Id}<", await app.Http.GetStringAsync(new Uri("/api/pages/history?run=voted", UriKind.Relative)), StringComparison.Ordinal);

        string history = await app.Http.GetStringAsync(new Uri("/api/pages/history?run=steered", UriKind.Relative));
        int[] places = [.. new[] { $">votes {Id}<", ">reward model short<", ">run steered<" }.Select(link => history.IndexOf(link, StringComparison.Ordinal))];
        Assert.True(places[0] > 0 && places.SequenceEqual(places.Order()), history);
        using (var none = await app.Http.GetAsync(new Uri("/api/pages/history?run=no-such", UriKind.Relative))) Assert.Equal(HttpStatusCode.NotFound, none.StatusCode);
    }

    /// <summary>Half of the pairs are drawn where the model is unsure, and the probability stands with each.</summary>
    private static async Task DrawByUnsurenessAsync(LocalApp app)
    {
        var request = Request with { CampaignId = "unsure", Pairs = 24, UncertainBy = "blob:models/short" };
        using (var answer = await app.Http.PostAsJsonAsync("/api/campaigns", request, ContractsJson.Options)) Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
        await WaitAsync(app, async () =>
        {
            var view = await GetAsync<CampaignView>(app, "/api/campaigns/unsure");
            Assert.False(view.Status == "Failed", view.Failure);
            return view.Status == "Open";
        });
        var store = new ArtifactStore(new BlobFiles(app.Blobs));
        byte[] file = await store.ReadFileAsync(BlobPaths.Pairs("unsure", 0), CampaignRecords.PairsFile, CancellationToken.None);
        var pairs = JsonSerializer.Deserialize<CampaignPair[]>(file, ContractsJson.Options)!;
        // Of four responses there are six pairs.
        var drawn = pairs.Where(pair => Math.Abs(pair.Probability - (1 / 6.0)) > 1e-9).ToArray();
        Assert.InRange(drawn.Length, 4, 20);
        Assert.All(drawn, pair => Assert.InRange(pair.Probability, 1e-6, 1 - 1e-6));
        Assert.All(pairs, pair => Assert.Equal(("base", "base", true), (pair.PolicyA, pair.PolicyB, pair.ModelA!.StartsWith("models/llama-", StringComparison.Ordinal))));
    }

    [Fact]
    public async Task The_page_is_driven_by_keyboard_through_twenty_votes_and_loses_none_offline()
    {
        using var app = new LocalApp();
        await app.StartAsync();
        using (await app.Http.PostAsJsonAsync("/api/campaigns", Request, ContractsJson.Options)) { }
        await WaitAsync(app, async () => (await GetAsync<CampaignView>(app, $"/api/campaigns/{Id}")).Status == "Open");

        await using var browser = await Browser.StartAsync();
        await browser.ShowAsync($"{app.Http.BaseAddress}api/campaigns/{Id}/page?annotator=kim", 400);
        const string Dialogue = "document.getElementById('dialogue').textContent";
        await UntilAsync(browser, $"{Dialogue} !== ''");
        Assert.InRange(await browser.EvaluateAsync<int>("document.documentElement.scrollWidth"), 1, 400); // nothing sticks out
        Assert.InRange(await browser.EvaluateAsync<double>(PagesInBrowserTests.LowestContrast), 4.5, 21);
        Assert.Equal("", await browser.FindViolationsAsync());
        Assert.Equal(0, await browser.EvaluateAsync<int>("[...document.querySelectorAll('button, input, textarea')].filter(e => !(e.labels?.length || e.textContent.trim())).length"));
        string[] keys = ["1", "2", "t", "x", "s"];
        for (int vote = 0; vote < 20; vote++)
        {
            if (vote == 10)
            {
                // The line is gone for the next votes, and back afterwards.
                await browser.EvaluateAsync<int>("(window.realFetch = fetch, window.fetch = () => Promise.reject(new Error('offline')), 0)");
            }

            string before = await browser.EvaluateAsync<string>($"{Dialogue} + keyOf(shown)");
            await browser.PressAsync(keys[vote % keys.Length], keys[vote % keys.Length].ToUpperInvariant()[0]);
            if (vote == 12)
            {
                await UntilAsync(browser, "document.getElementById('status').textContent.includes('No connection: 3 kept')");
                await browser.EvaluateAsync<int>("(window.fetch = window.realFetch, dispatchEvent(new Event('online')), 0)");
            }

            await UntilAsync(browser, $"!!shown && {Dialogue} + keyOf(shown) !== {JsonSerializer.Serialize(before)}");
        }

        await UntilAsync(browser, "document.getElementById('status').textContent.includes('All sent')");
        Assert.Equal(20, (await EventsAsync(app)).Count);
        await browser.PressAsync("u", 'U');
        await UntilAsync(browser, "document.getElementById('status').textContent.startsWith('19 of') && document.getElementById('status').textContent.includes('All sent')");
        Assert.Equal(21, (await EventsAsync(app)).Count); // the taking back is an event too
        Assert.Equal("true", await browser.EvaluateAsync<string>("(document.getElementById('differences').click(), document.getElementById('differences').getAttribute('aria-pressed'))"));
        Assert.True(await browser.EvaluateAsync<int>("document.querySelectorAll('mark').length") > 0);

        // Voted without a connection, closed and opened again: it goes on where it was, and the vote is sent.
        await browser.EvaluateAsync<int>("(window.fetch = () => Promise.reject(new Error('offline')), 0)");
        string last = await browser.EvaluateAsync<string>($"{Dialogue} + keyOf(shown)");
        await browser.PressAsync("1", '1');
        await UntilAsync(browser, "document.getElementById('status').textContent.includes('No connection: 1 kept')");
        await browser.ShowAsync($"{app.Http.BaseAddress}api/campaigns/{Id}/page?annotator=kim", 400);
        await UntilAsync(browser, "document.getElementById('status').textContent.startsWith('20 of') && document.getElementById('status').textContent.includes('All sent')");
        Assert.NotEqual(last, await browser.EvaluateAsync<string>($"{Dialogue} + keyOf(shown)"));
        Assert.Equal(22, (await EventsAsync(app)).Count);
    }

    private static CampaignRequest Request { get; } = new()
    {
        CampaignId = Id,
        Seed = 5,
        Model = new ModelSettings { Source = "file:samples/models/llama" },
        Dialogues = "file:samples/dialogues/validation.csv",
        Pairs = 30,
        Overlap = 0,
        GoldShare = 0, // gold pairs are everybody's
        RepeatShare = 0.1,
        Generation = new GenerationSettings { MaxNewTokens = 24 },
    };

    /// <summary>Votes for the shorter one, as long as there is something to judge, up to so many.</summary>
    private static async Task<IReadOnlyList<string>> VoteAsync(LocalApp app, string annotator, int most)
    {
        var kept = new List<string>();
        while (kept.Count < most)
        {
            var next = await GetAsync<NextPairs>(app, $"/api/campaigns/{Id}/next?annotator={annotator}&count=2");
            if (next.Pairs.Count == 0) break;
            foreach (var pair in next.Pairs)
            {
                var vote = new VoteMessage
                {
                    Id = Guid.NewGuid().ToString("n"),
                    Pair = pair.Pair,
                    Round = pair.Round,
                    Choice = pair.First.Length < pair.Second.Length ? ShownChoice.First : ShownChoice.Second,
                    Seconds = 2,
                    Comment = Remark,
                };
                using var answer = await PostAsync(app, annotator, vote);
                Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
                kept.Add(vote.Id);
            }
        }

        return kept;
    }

    private static Task<HttpResponseMessage> PostAsync(LocalApp app, string annotator, VoteMessage vote)
    {
        return app.Http.PostAsJsonAsync($"/api/campaigns/{Id}/votes", new VotesMessage { Annotator = annotator, Votes = [vote] }, ContractsJson.Options);
    }

    private static async Task<IReadOnlyList<VoteEvent>> EventsAsync(LocalApp app)
    {
        string lines = await app.Http.GetStringAsync(new Uri($"/api/campaigns/{Id}/export?format=events", UriKind.Relative));
        return [.. lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonSerializer.Deserialize<VoteEvent>(line, ContractsJson.Options)!)];
    }

    private static async Task<T> GetAsync<T>(LocalApp app, string path)
    {
        return (await app.Http.GetFromJsonAsync<T>(path, ContractsJson.Options))!;
    }

    private static async Task WaitAsync(LocalApp app, Func<Task<bool>> until)
    {
        for (var deadline = DateTime.UtcNow + Patience; !await until(); await Task.Delay(200))
            Assert.True(DateTime.UtcNow < deadline, $"It took longer than {Patience} at {app.Http.BaseAddress}.");
    }

    private static async Task UntilAsync(Browser browser, string condition)
    {
        for (var deadline = DateTime.UtcNow.AddSeconds(60); !await browser.EvaluateAsync<bool>(condition); await Task.Delay(50))
            Assert.True(DateTime.UtcNow < deadline, $"Never true on the page: {condition}");
    }
}
