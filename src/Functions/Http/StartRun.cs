using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;

namespace RlhfFunctions.Http;

/// <summary>
/// POST /api/runs starts a run and answers 202 with its address. The same run id with the same body answers the same run, so
/// a client that heard nothing may ask again; with another body it is refused. A client that has no id gives an Idempotency-Key.
/// With <c>validate=true</c> nothing is started: the answer is what the run would take.
/// </summary>
public sealed class StartRun(RunRecords runs, RequestChecks checks, RunEstimates estimates, Limits limits, TimeProvider time)
{
    private const string IdempotencyKey = "Idempotency-Key";
    private const int LongestKey = 255;

    [Function(FunctionNames.StartRun)]
    public async Task<IActionResult> Run(
        [HttpTrigger(AuthorizationLevel.Function, "post", Route = "runs")] HttpRequest http, [DurableClient] DurableTaskClient client)
    {
        var cancellation = http.HttpContext.RequestAborted;
        var request = await http.ReadAsync<RunRequest>(limits, "The body is not a run request.", "samples/demo.json");
        request = request with { RunId = request.RunId ?? IdOfKey(http) ?? RunId.New(time.GetUtcNow()) };
        if (await checks.CheckAsync(request, cancellation) is { Count: > 0 } errors)
            return Problem.Invalid("The run request cannot be run as it stands.", errors).ToResult();

        request = request with { Training = request.Training }; // with its defaults, so that a later version's change nothing
        if (http.Flag("validate")) return Answers.Json(await estimates.EstimateAsync(request, cancellation));
        switch (await runs.StartAsync(client, request, cancellation))
        {
            case StartResult.IdTaken:
                return new Problem(409, "run-exists", "Another run has this id.",
                    $"Run {request.RunId} was started with another request. Choose another runId, or leave it out to have one made up.").ToResult();
            case StartResult.TooMany:
                return Problem.TooManyRuns(limits).ToResult();
        }

        return Answers.Accepted(http, request.RunId);
    }

    /// <summary>The same key is the same run, whichever replica is asked.</summary>
    private static string? IdOfKey(HttpRequest http)
    {
        if (http.Headers[IdempotencyKey] is not [{ Length: > 0 } key]) return null;
        return key.Length <= LongestKey
            ? $"run-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)))[..24]}"
            : throw new ProblemException(new Problem(400, "invalid-request", "The request cannot be answered as it stands.",
                $"The header {IdempotencyKey} must not be longer than {LongestKey} characters, but has {key.Length}."));
    }
}
