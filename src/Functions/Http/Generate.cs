using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Contracts;
using RlhfFunctions.Serving;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Http;

/// <summary>POST /api/generate: continues prompts or dialogues with a run's adapter, and says whose it was.</summary>
public sealed class Generate(RunRequests requests, ServedPolicies policies, TextWriting writing)
{
    [Function(FunctionNames.Generate)]
    public async Task<IActionResult> Run(
        [HttpTrigger(AuthorizationLevel.Function, "post", Route = "generate")] HttpRequest http, CancellationToken cancellation)
    {
        GenerateRequest request;
        try
        {
            request = await JsonSerializer.DeserializeAsync<GenerateRequest>(http.Body, ContractsJson.Strict, cancellation)
                ?? throw new JsonException("The body is null.");
        }
        catch (JsonException e)
        {
            return Answers.Problem(400, "malformed-request", "The body is not a request for texts.", JsonProblem.Describe(e, "README.md"));
        }

        if (RequestValidation.Check(request) is { Count: > 0 } errors) return Answers.Invalid("The request cannot be answered as it stands.", errors);
        if (request.RunId is { } id && await requests.FindAsync(id, cancellation) is null) return RunProblems.NoSuchRun(id);

        try
        {
            var served = request.RunId is { } runId
                ? await policies.OfRunAsync(runId, cancellation)
                : await policies.LatestAsync(cancellation);
            if (served is null) return RunProblems.NotFinished(request.RunId!);
            var texts = await writing.WriteAsync(served, request, cancellation);
            var writtenBy = served.Step is null ? WrittenBy.Base : WrittenBy.Adapter;
            return Answers.Json(new GenerateAnswer(writtenBy, served.Request.Model.Source, served.Request.RunId, request.Seed, texts));
        }
        catch (InvalidInputException e)
        {
            return Answers.Problem(400, "invalid-request", "The request cannot be answered as it stands.", e.Message);
        }
    }
}
