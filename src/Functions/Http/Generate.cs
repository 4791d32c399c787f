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
        var request = await http.ReadAsync<GenerateRequest>(limits, "The body is not a request for texts.", "docs/api.md");
        if (RequestValidation.Check(request, limits) is { Count: > 0 } errors) return Problem.Invalid(Refused, errors).ToResult();
        if (request.RunId is { } id && !await runs.ExistsAsync(id, cancellation)) return Problem.NoSuchRun(id).ToResult();

        if (request.Stream)
        {
            var served = await FindAsync(request, cancellation);
            return await EventStream.OpenAsync(limits.InTurn(writing.StreamAsync(served, request, CancellationToken.None)), ContractsJson.Options);
        }

        return Answers.Json(await limits.InTurnAsync(() => AnswerAsync(request, cancellation)));
    }

    private async Task<GenerateAnswer> AnswerAsync(GenerateRequest request, CancellationToken cancellation)
    {
        var served = await FindAsync(request, cancellation);
        var texts = await writing.WriteAsync(served, request, cancellation);
        return served.Step is null
            ? new GenerateAnswer(WrittenBy.Base, served.Request.Model.Source, null, request.Seed, texts)
            : new GenerateAnswer(WrittenBy.Adapter, served.Request.Model.Source, served.Request.RunId, request.Seed, texts);
    }

    private async Task<ServedPolicy> FindAsync(GenerateRequest request, CancellationToken cancellation)
    {
        var served = request.RunId is { } id ? await policies.GetAsync(id, request.Step, cancellation) : await policies.LatestAsync(cancellation);
        return request.Base ? served with { Step = null } : served;
    }
}

internal static class ServedRuns
{
    /// <summary>The policy of a run that is there.</summary>
    /// <exception cref="ProblemException">It has not finished, or has no such checkpoint.</exception>
    public static async Task<ServedPolicy> GetAsync(this ServedPolicies policies, string runId, int? step, CancellationToken cancellation)
    {
        if (step is not { } number) return await policies.OfRunAsync(runId, cancellation) ?? throw new ProblemException(Problem.NotFinished(runId));
        return await policies.OfCheckpointAsync(runId, number, cancellation) ?? throw new ProblemException(
            new Problem(404, "no-such-checkpoint", "There is no such checkpoint.", $"Run {runId} keeps none of step {number}. GET /api/runs/{runId}/checkpoints lists those it keeps."));
    }
}
