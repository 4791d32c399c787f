using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Loading;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Http;

/// <summary>
/// POST /api/runs starts a run and answers 202 with its address. The same run id with the same body answers the same run, so
/// a client that heard nothing may ask again; with another body it is refused.
/// </summary>
public sealed class StartRun(RunRequests requests, SourceFiles sources, RewardServices services, TimeProvider time)
{
    [Function(FunctionNames.StartRun)]
    public async Task<IActionResult> Run(
        [HttpTrigger(AuthorizationLevel.Function, "post", Route = "runs")] HttpRequest http,
        [DurableClient] DurableTaskClient client,
        CancellationToken cancellation)
    {
        RunRequest request;
        try
        {
            request = await JsonSerializer.DeserializeAsync<RunRequest>(http.Body, ContractsJson.Strict, cancellation)
                ?? throw new JsonException("The body is null.");
        }
        catch (Exception e) when (e is JsonException or NotSupportedException) // the latter: a reward term without a kind
        {
            return Answers.Problem(400, "malformed-request", "The body is not a run request.", JsonProblem.Describe(e, "samples/demo.json"));
        }

        request = request with { RunId = request.RunId ?? RunId.New(time.GetUtcNow()) };
        var errors = await CheckAsync(request, cancellation);
        if (errors.Count > 0) return Answers.Invalid("The run request cannot be run as it stands.", errors);

        request = request with { Training = request.Training }; // with its defaults, so that a later version's change nothing
        if (!await requests.TryRecordAsync(request, cancellation))
        {
            return Answers.Problem(409, "run-exists", "Another run has this id.",
                $"Run {request.RunId} was started with another request. Choose another runId, or leave it out to have one made up.");
        }

        if (await client.GetInstanceAsync(request.RunId, cancellation: cancellation) is null)
        {
            var state = new RlhfRunState
            {
                RunId = request.RunId,
                Sources = new ModelSources(
                    request.Model.Source,
                    [.. (request.Reward?.Classifiers ?? []).Select(term => term.Source)],
                    request.Evaluation.Judge,
                    request.Model.Precision),
                Steps = request.Training.Steps,
                Shards = request.Compute.RolloutShards,
                LearnsFromPreferences = request.Training is DpoSettings,
            };
            await client.ScheduleNewOrchestrationInstanceAsync(
                FunctionNames.RlhfRun, state, new StartOrchestrationOptions(request.RunId), cancellation);
        }

        string address = $"/api/runs/{request.RunId}";
        http.HttpContext.Response.Headers.Location = address;
        return Answers.Json(new { request.RunId, Status = address, Durable = client.CreateHttpManagementPayload(request.RunId) }, 202);
    }

    private async Task<IReadOnlyDictionary<string, string[]>> CheckAsync(RunRequest request, CancellationToken cancellation)
    {
        var errors = RequestValidation.Check(request);
        if (errors.Count > 0) return errors;

        var found = new Dictionary<string, string?>
        {
            ["model.source"] = await sources.CheckModelAsync(request.Model.Source, cancellation),
            ["evaluation.judge"] = await sources.CheckClassifierAsync(request.Evaluation.Judge, [request.Evaluation.HateLabel], cancellation),
            ["data.test"] = await sources.CheckFileAsync(sources.PartOf(request.Data.Test, "test"), cancellation),
        };
        if (request.Data.Train is { } train) found["data.train"] = await sources.CheckFileAsync(sources.PartOf(train, "train"), cancellation);
        if (request.Data.Preferences is { } preferences) found["data.preferences"] = await sources.CheckFileAsync(preferences, cancellation);
        var terms = request.Reward?.Terms ?? [];
        for (int i = 0; i < terms.Count; i++)
        {
            if (terms[i] is HttpTerm http) found[$"reward.terms[{i}].url"] = services.ProblemWith(http.Url);
            if (terms[i] is RegexTerm or JsonSchemaTerm) found[$"reward.terms[{i}]"] = Classifiers.ProblemWithFormat(terms[i]);
            if (terms[i] is EnsembleTerm ensemble)
            {
                for (int member = 0; member < ensemble.Members.Count; member++)
                {
                    var classifier = ensemble.Members[member];
                    found[$"reward.terms[{i}].members[{member}]"] = await sources.CheckClassifierAsync(classifier.Source, [classifier.Label, classifier.HateLabel], cancellation);
                }
            }

            if (terms[i] is ClassifierTerm term)
                found[$"reward.terms[{i}]"] = await sources.CheckClassifierAsync(term.Source, [term.Label, term.HateLabel], cancellation);
        }

        return found.Where(error => error.Value is not null).ToDictionary(error => error.Key, error => new[] { error.Value! });
    }
}
