using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;
using RlhfFunctions.Serving;

namespace RlhfFunctions.Http;

/// <summary>POST /api/generate: continues prompts or dialogues with a run's adapter, and says whose it was.</summary>
public sealed class Generate(RunRecords runs, ServedPolicies policies, TextWriting writing, Limits limits)
{
    private const string Refused = "The request cannot be answered as it stands.";

    [Function(FunctionNames.Generate)]
    public async Task<IActionResult> Run([HttpTrigger(AuthorizationLevel.Function, "post", Route = "generate")] HttpRequest http)
    {
        var cancellation = http.HttpContext.RequestAborted;
        var request = await http.ReadAsync<GenerateRequest>("The body is not a request for texts.", "docs/api.md");
        if (RequestValidation.Check(request, limits) is { Count: > 0 } errors) return Problem.Invalid(Refused, errors).ToResult();
        if (request.RunId is { } id && !await runs.ExistsAsync(id, cancellation)) return Problem.NoSuchRun(id).ToResult();

        var served = request.RunId is { } runId
            ? await policies.OfRunAsync(runId, cancellation)
            : await policies.LatestAsync(cancellation);
        if (served is null) return Problem.NotFinished(request.RunId!).ToResult();
        var texts = await writing.WriteAsync(served, request, cancellation);
        var writtenBy = served.Step is null ? WrittenBy.Base : WrittenBy.Adapter;
        return Answers.Json(new GenerateAnswer(writtenBy, served.Request.Model.Source, served.Request.RunId, request.Seed, texts));
    }
}
