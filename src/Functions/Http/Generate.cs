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
    // Of this process: those that wait are its own.
    private static int _accepted;

    private const string Refused = "The request cannot be answered as it stands.";

    [Function(FunctionNames.Generate)]
    public async Task<IActionResult> Run([HttpTrigger(AuthorizationLevel.Function, "post", Route = "generate")] HttpRequest http)
    {
        var cancellation = http.HttpContext.RequestAborted;
        var request = await http.ReadAsync<GenerateRequest>(limits, "The body is not a request for texts.", "docs/api.md");
        if (RequestValidation.Check(request, limits) is { Count: > 0 } errors) return Problem.Invalid(Refused, errors).ToResult();
        if (request.RunId is { } id && !await runs.ExistsAsync(id, cancellation)) return Problem.NoSuchRun(id).ToResult();

        var answer = await InTurnAsync(() => AnswerAsync(request, cancellation));
        return answer is null ? Problem.NotFinished(request.RunId!).ToResult() : Answers.Json(answer);
    }

    private async Task<GenerateAnswer?> AnswerAsync(GenerateRequest request, CancellationToken cancellation)
    {
        var served = request.RunId is { } runId
            ? await policies.OfRunAsync(runId, cancellation)
            : await policies.LatestAsync(cancellation);
        if (served is null) return null;
        var texts = await writing.WriteAsync(served, request, cancellation);
        var writtenBy = served.Step is null ? WrittenBy.Base : WrittenBy.Adapter;
        return new GenerateAnswer(writtenBy, served.Request.Model.Source, served.Request.RunId, request.Seed, texts);
    }

    /// <summary>One is written at a time, the others wait; beyond the limit none is let wait.</summary>
    private async Task<GenerateAnswer?> InTurnAsync(Func<Task<GenerateAnswer?>> write)
    {
        try
        {
            if (Interlocked.Increment(ref _accepted) <= limits.WaitingForTexts + 1) return await write();
            throw new ProblemException(new Problem(429, "too-many-requests", "Too many requests for texts are waiting.",
                $"One is written at a time, and {limits.WaitingForTexts} may wait. Ask again in a while.")
            { RetryAfter = TimeSpan.FromSeconds(10) });
        }
        finally
        {
            Interlocked.Decrement(ref _accepted);
        }
    }
}
