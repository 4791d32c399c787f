using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Campaigns;
using RlhfFunctions.Contracts;
using RlhfFunctions.Reports;
using RlhfFunctions.Sources;

namespace RlhfFunctions.Http;

/// <summary>Reward models trained from a campaign's votes.</summary>
public sealed class Rewards(RewardRecords rewards, CampaignRecords campaigns, SourceFiles files, ModelUploads uploads, Limits limits, TimeProvider time)
{
    /// <summary>POST rewards starts a training; the same id and body is the same one.</summary>
    [Function(FunctionNames.StartReward)]
    public async Task<IActionResult> Start(
        [HttpTrigger(AuthorizationLevel.Function, "post", Route = "rewards")] HttpRequest http, [DurableClient] DurableTaskClient client)
    {
        var cancellation = http.HttpContext.RequestAborted;
        var request = await http.ReadAsync<RewardRequest>(limits, "The body does not ask for a reward model.", "docs/api.md");
        request = request with { RewardId = request.RewardId ?? RunId.New(time.GetUtcNow(), "reward") };
        var errors = RequestValidation.Check(request).ToDictionary();
        if (errors.Count == 0)
        {
            if (await files.CheckModelAsync(request.Base, cancellation) is { } problem) errors["base"] = [problem];
            if (await rewards.FindAsync(request.RewardId, cancellation) is null && await uploads.IsCompleteAsync(request.RewardId, cancellation))
                errors["rewardId"] = [$"is the name of a model that is there already: {request.RewardId}. Choose another."];
            if (await campaigns.FindAsync(request.CampaignId, cancellation) is null) errors["campaignId"] = [$"names no campaign: there is no {request.CampaignId}."];
        }

        if (errors.Count > 0) return Problem.Invalid("The reward model cannot be trained as it stands.", errors).ToResult();
        if (!await rewards.StartAsync(client, request, cancellation))
        {
            return new Problem(409, "reward-exists", "Another reward model has this id.",
                $"Reward model {request.RewardId} was started with another request. Choose another rewardId, or leave it out to have one made up.").ToResult();
        }

        string address = $"/api/rewards/{request.RewardId}";
        http.HttpContext.Response.Headers.Location = address;
        string[] sources = [.. Enumerable.Range(0, request.Seeds).Select(member => Source.Blob + BlobPaths.RewardModel(request.RewardId, member))];
        return Answers.Json(new { request.RewardId, Status = address, Source = sources[0], Sources = sources }, 202);
    }

    /// <summary>GET rewards/{id}: how the training fares, and what came of it.</summary>
    [Function(FunctionNames.GetReward)]
    public async Task<IActionResult> Get(
        [HttpTrigger(AuthorizationLevel.Function, "get", Route = "rewards/{id}")] HttpRequest http, string id, [DurableClient] DurableTaskClient client)
    {
        var view = await rewards.FindAsync(client, id, http.HttpContext.RequestAborted);
        return view is null ? NoSuchReward(id).ToResult() : Answers.Json(view);
    }

    /// <summary>GET rewards/{id}/report: the page of a finished one.</summary>
    [Function(FunctionNames.GetRewardReport)]
    public async Task<IActionResult> Report([HttpTrigger(AuthorizationLevel.Function, "get", Route = "rewards/{id}/report")] HttpRequest http, string id)
    {
        var cancellation = http.HttpContext.RequestAborted;
        if (await rewards.FindAsync(id, cancellation) is not { } request) return NoSuchReward(id).ToResult();
        return await rewards.FindOutcomeAsync(id, cancellation) is { } outcome
            ? http.Page(RewardPage.Render(request, outcome, http.Links()))
            : new Problem(409, "reward-not-finished", "The reward model is not trained yet.",
                $"GET /api/rewards/{id} tells how it fares; ask again when its status is Completed.").ToResult();
    }

    private static Problem NoSuchReward(string id)
    {
        return new Problem(404, "no-such-reward", "There is no such reward model.", $"No reward model has the id {id}. POST /api/rewards trains one and answers its id.");
    }
}
