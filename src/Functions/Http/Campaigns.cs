using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Campaigns;
using RlhfFunctions.Contracts;
using RlhfFunctions.Hosting;
using RlhfFunctions.Ml.Preferences;
using RlhfFunctions.Reports;
using RlhfFunctions.Sources;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Http;

/// <summary>Campaigns: what people are asked, what they say, and what that is worth.</summary>
public sealed class Campaigns(CampaignRecords campaigns, CampaignVotes votes, BlobFiles blobs, SourceFiles sources, Limits limits, TimeProvider time)
{
    private const string Example = "docs/api.md";
    private const int MostAtOnce = 10;

    /// <summary>POST campaigns starts one; the same id and body is the same campaign.</summary>
    [Function(FunctionNames.StartCampaign)]
    public async Task<IActionResult> Start(
        [HttpTrigger(AuthorizationLevel.Function, "post", Route = "campaigns")] HttpRequest http, [DurableClient] DurableTaskClient client)
    {
        var cancellation = http.HttpContext.RequestAborted;
        var request = await http.ReadAsync<CampaignRequest>(limits, "The body is not a campaign.", Example);
        request = request with { CampaignId = request.CampaignId ?? RunId.New(time.GetUtcNow(), "campaign") };
        if (await CheckAsync(request, cancellation) is { Count: > 0 } errors) return Problem.Invalid("The campaign cannot be held as it stands.", errors).ToResult();
        if (!await campaigns.StartAsync(client, request, cancellation))
        {
            return new Problem(409, "campaign-exists", "Another campaign has this id.",
                $"Campaign {request.CampaignId} was started with another request. Choose another campaignId, or leave it out to have one made up.").ToResult();
        }

        string address = $"/api/campaigns/{request.CampaignId}";
        http.HttpContext.Response.Headers.Location = address;
        return Answers.Json(new { request.CampaignId, Status = address, Page = $"{address}/page" }, 202);
    }

    /// <summary>GET campaigns/{id}: how it fares.</summary>
    [Function(FunctionNames.GetCampaign)]
    public async Task<IActionResult> Get(
        [HttpTrigger(AuthorizationLevel.Function, "get", Route = "campaigns/{id}")] HttpRequest http, string id, [DurableClient] DurableTaskClient client)
    {
        var cancellation = http.HttpContext.RequestAborted;
        var request = await GetAsync(id, cancellation);
        var pairs = await campaigns.FindPairsAsync(request, cancellation);
        var instance = await client.GetInstanceAsync(CampaignRecords.InstanceOf(id), getInputsAndOutputs: true, cancellation);
        int counted = pairs is null ? 0 : CampaignVotes.Count(await votes.ReadAllAsync(id, cancellation), pairs).Count;
        string status = pairs is not null ? "Open" : instance?.RuntimeStatus.ToString() ?? "NotStarted";
        return Answers.Json(new CampaignView(id, status, pairs?.Count ?? 0, counted, instance?.ReadFailure(), request));
    }

    /// <summary>GET campaigns/{id}/page: where annotators vote.</summary>
    [Function(FunctionNames.GetCampaignPage)]
    public async Task<IActionResult> Page([HttpTrigger(AuthorizationLevel.Function, "get", Route = "campaigns/{id}/page")] HttpRequest http, string id)
    {
        var request = await GetAsync(id, http.HttpContext.RequestAborted);
        http.HttpContext.Response.Headers.ContentSecurityPolicy = VotePage.ContentSecurityPolicy;
        return new FileContentResult(VotePage.Render(request), "text/html; charset=utf-8");
    }

    /// <summary>GET campaigns/{id}/next?annotator=…&amp;count=…: pairs to judge, kept for this annotator for a while.</summary>
    [Function(FunctionNames.GetNextPairs)]
    public async Task<IActionResult> Next([HttpTrigger(AuthorizationLevel.Function, "get", Route = "campaigns/{id}/next")] HttpRequest http, string id)
    {
        var cancellation = http.HttpContext.RequestAborted;
        string annotator = http.Query["annotator"].ToString();
        if (!RunId.IsValid(annotator))
            return Problem.Invalid("The query does not say who asks.", new Dictionary<string, string[]> { ["annotator"] = [RunId.Rule] }).ToResult();
        int count = int.TryParse(http.Query["count"], out int wanted) ? Math.Clamp(wanted, 1, MostAtOnce) : 1;
        var (request, pairs) = await OpenAsync(id, cancellation);
        IReadOnlyList<(int Pair, int Round)> next = [];
        IReadOnlyList<CountedVote> counted = [];
        await blobs.ChangeJsonAsync<LeaseBook>(
            BlobPaths.Leases(id),
            async book =>
            {
                // The votes after the leases: who gives a lease back has voted before.
                counted = CampaignVotes.Count(await votes.ReadAllAsync(id, cancellation), pairs);
                (next, var leases) = PairQueue.Take(request, pairs, counted, book, annotator, count, time.GetUtcNow());
                return leases;
            },
            cancellation);
        return Answers.Json(new NextPairs(
            [.. next.Select(item => PairQueue.Show(request, pairs[item.Pair], annotator, item.Round))],
            counted.Count(vote => vote.Annotator == annotator),
            PairQueue.WantedOf(request)));
    }

    /// <summary>POST campaigns/{id}/votes: votes and takings back; once this is answered they are kept.</summary>
    [Function(FunctionNames.AddVotes)]
    public async Task<IActionResult> Add([HttpTrigger(AuthorizationLevel.Function, "post", Route = "campaigns/{id}/votes")] HttpRequest http, string id)
    {
        var cancellation = http.HttpContext.RequestAborted;
        var message = await http.ReadAsync<VotesMessage>(limits, "The body holds no votes.", Example);
        var (request, pairs) = await OpenAsync(id, cancellation);
        var errors = RequestValidation.Check(message).ToDictionary();
        foreach (var (i, vote) in message.Votes.Index())
        {
            if (vote is not null && vote.Pair >= pairs.Count) errors[$"votes[{i}].pair"] = [$"must be below the campaign's {pairs.Count} pairs, but is {vote.Pair}."];
        }

        if (errors.Count > 0) return Problem.Invalid("The votes cannot be counted as they stand.", errors).ToResult();
        VoteEvent[] events = [.. message.Votes.Select(vote => PairQueue.Record(request, pairs[vote.Pair], message.Annotator, vote, time.GetUtcNow()))];
        await votes.AddAsync(id, message.Annotator, events, cancellation);
        return Answers.Json(new { Kept = events.Select(e => e.Vote.Id) });
    }

    /// <summary>DELETE campaigns/{id}/votes/{annotator}: forgets all that an annotator said.</summary>
    [Function(FunctionNames.DeleteVotes)]
    public async Task<IActionResult> Delete(
        [HttpTrigger(AuthorizationLevel.Function, "delete", Route = "campaigns/{id}/votes/{annotator}")] HttpRequest http, string id, string annotator)
    {
        var cancellation = http.HttpContext.RequestAborted;
        await GetAsync(id, cancellation);
        await votes.DeleteAsync(id, annotator, cancellation);
        return new NoContentResult();
    }

    /// <summary>GET campaigns/{id}/export?format=dpo|kto|events: JSON Lines to learn from elsewhere, or all that was said.</summary>
    [Function(FunctionNames.ExportVotes)]
    public async Task<IActionResult> Export([HttpTrigger(AuthorizationLevel.Function, "get", Route = "campaigns/{id}/export")] HttpRequest http, string id)
    {
        var cancellation = http.HttpContext.RequestAborted;
        var (request, pairs) = await OpenAsync(id, cancellation);
        var events = await votes.ReadAllAsync(id, cancellation);
        var decided = Preference.Decided(Preference.Of(request, pairs, CampaignVotes.Count(events, pairs)));
        IEnumerable<object>? lines = http.Query["format"].ToString() switch
        {
            "" or "dpo" => decided.Select(p => new { p.Prompt, p.Chosen, p.Rejected }),
            "kto" => decided.SelectMany(p => new[] { new { p.Prompt, Completion = p.Chosen, Label = true }, new { p.Prompt, Completion = p.Rejected, Label = false } }),
            "events" => events,
            _ => null,
        };
        if (lines is null)
            return Problem.Invalid("The format is not known.", new Dictionary<string, string[]> { ["format"] = ["must be dpo, kto or events."] }).ToResult();
        string text = string.Concat(lines.Select(line => JsonSerializer.Serialize(line, ContractsJson.Options) + "\n"));
        return new FileContentResult(Encoding.UTF8.GetBytes(text), "application/jsonl; charset=utf-8");
    }

    /// <summary>GET campaigns/{id}/statistics: what the votes are worth, as JSON, or with format=html as a page.</summary>
    [Function(FunctionNames.GetVoteStatistics)]
    public async Task<IActionResult> Statistics([HttpTrigger(AuthorizationLevel.Function, "get", Route = "campaigns/{id}/statistics")] HttpRequest http, string id)
    {
        var cancellation = http.HttpContext.RequestAborted;
        var (request, pairs) = await OpenAsync(id, cancellation);
        var statistics = VoteCounts.Of(CampaignVotes.Count(await votes.ReadAllAsync(id, cancellation), pairs), (ulong)request.Seed);
        return http.Query["format"] == "html"
            ? http.Page(StatisticsPage.Render(id, statistics, http.Links()))
            : Answers.Json(statistics);
    }

    private async Task<CampaignRequest> GetAsync(string id, CancellationToken cancellation)
    {
        return await campaigns.FindAsync(id, cancellation) ?? throw new ProblemException(new Problem(
            404, "no-such-campaign", "There is no such campaign.", $"No campaign has the id {id}. POST /api/campaigns starts one and answers its id."));
    }

    private async Task<(CampaignRequest Request, IReadOnlyList<CampaignPair> Pairs)> OpenAsync(string id, CancellationToken cancellation)
    {
        var request = await GetAsync(id, cancellation);
        var pairs = await campaigns.FindPairsAsync(request, cancellation) ?? throw new ProblemException(new Problem(
            409, "campaign-not-open", "The campaign has no pairs yet.", $"They are being generated. GET /api/campaigns/{id} tells how that fares; ask again when its status is Open."));
        return (request, pairs);
    }

    private async Task<IReadOnlyDictionary<string, string[]>> CheckAsync(CampaignRequest request, CancellationToken cancellation)
    {
        var errors = RequestValidation.Check(request).ToDictionary();
        if (errors.Count > 0) return errors;
        Add("model.source", await sources.CheckModelAsync(request.Model.Source, cancellation));
        Add("dialogues", await sources.CheckFileAsync(request.Dialogues, cancellation));
        if (request.UncertainBy is { } reward) Add("uncertainBy", await sources.CheckModelAsync(reward, cancellation));
        return errors;

        void Add(string field, string? problem)
        {
            if (problem is not null) errors[field] = [problem];
        }
    }
}
