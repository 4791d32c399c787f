using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Rewards;
using RlhfFunctions.Runs;
using RlhfFunctions.Serving;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Http;

/// <summary>POST /api/score: what a run's reward says of texts, whoever wrote them.</summary>
public sealed class Score(
    RunRecords runs, RunRequests requests, PublishedAdapters adapters, ServedPolicies policies, Classifiers classifiers, Limits limits)
{
    [Function(FunctionNames.Score)]
    public async Task<IActionResult> Run([HttpTrigger(AuthorizationLevel.Function, "post", Route = "score")] HttpRequest http)
    {
        var cancellation = http.HttpContext.RequestAborted;
        var request = await http.ReadAsync<ScoreRequest>(limits, "The body is not a request for scores.", "docs/api.md");
        if (RequestValidation.Check(request, limits) is { Count: > 0 } errors) return Problem.Invalid("The request cannot be answered as it stands.", errors).ToResult();
        if (request.RunId is { } named && !await runs.ExistsAsync(named, cancellation)) return Problem.NoSuchRun(named).ToResult();
        string id = request.RunId ?? (await adapters.FindLatestAsync(cancellation))?.RunId ?? throw new ProblemException(Problem.NoAdapter());
        if (await runs.FindFinishedAsync(id, cancellation) is not { Result.Prepared: var prepared }) return Problem.NotFinished(id).ToResult();

        var run = policies.Here(await requests.GetAsync(id, cancellation));
        if (run.Reward is not { Terms: var terms })
            return new Problem(409, "no-reward", "The run has no reward.", $"Run {id} learns from preferences. Name another run, whose request has reward.terms.").ToResult();
        if (request.References is null && terms.Any(term => term is RougeTerm))
        {
            return Problem.Invalid("The request cannot be answered as it stands.", new Dictionary<string, string[]>
            {
                ["references"] = [$"are needed: the reward of run {id} compares each text with one."],
            }).ToResult();
        }

        return Answers.Json(await limits.InTurnAsync(async () =>
        {
            using var reward = await classifiers.RewardAsync(prepared, run, cancellation);
            var responses = request.Texts.Select((text, i) => new PromptedResponse(request.Prompts?[i] ?? "", text, text, request.References?[i]));
            var scores = reward.Reward.Score([.. responses], cancellation);
            return new ScoreAnswer(id, [.. scores.Select(score => new ScoredText(
                score.Score, score.LabelProbability, terms.Zip(score.Terms!).ToDictionary(term => term.First.Name, term => (double)term.Second)))]);
        }));
    }
}
