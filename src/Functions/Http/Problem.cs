using System.Globalization;
using System.Text.Json.Serialization;
using Azure;
using Azure.Identity;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Http;

/// <summary>RFC 9457: what was wrong with a request, or what kept it from being answered.</summary>
/// <param name="Status">The HTTP status.</param>
/// <param name="Type">A stable name of the kind of problem.</param>
/// <param name="Title">What is wrong.</param>
/// <param name="Detail">Where, and what to do.</param>
internal sealed record Problem(int Status, [property: JsonIgnore] string Type, string Title, string Detail)
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(5);

    [JsonPropertyName("type")]
    [JsonPropertyOrder(-1)]
    public string TypeName => $"urn:rlhf:problem:{Type}";

    /// <summary>What is wrong field by field.</summary>
    public IReadOnlyDictionary<string, string[]>? Errors { get; init; }

    /// <summary>Names the request in the log.</summary>
    public string? CorrelationId { get; init; }

    /// <summary>When to ask again.</summary>
    [JsonIgnore]
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>What is wrong field by field, in a sentence and as data.</summary>
    public static Problem Invalid(string title, IReadOnlyDictionary<string, string[]> errors)
    {
        string summary = string.Join(" ", errors.Select(error => $"{error.Key}: {string.Join(" ", error.Value)}"));
        return new Problem(400, "invalid-request", title, summary) { Errors = errors };
    }

    public static Problem NoSuchRun(string id)
    {
        return new Problem(404, "no-such-run", "There is no such run.",
            $"No run has the id {id}. GET /api/runs lists those there are; POST /api/runs starts one and answers its id.");
    }

    public static Problem TooManyRuns(Limits limits)
    {
        return new Problem(429, "too-many-runs", "Too many runs have not ended.",
            $"{limits.UnfinishedRuns} may be under way or wait. Ask again when one has ended; GET /api/runs lists them.")
        { RetryAfter = TimeSpan.FromMinutes(1) };
    }

    public static Problem NotFinished(string id)
    {
        return new Problem(409, "run-not-finished", "The run has not finished.",
            $"Run {id} has published nothing yet. GET /api/runs/{id} tells how it fares; ask again when its status is Completed.");
    }

    public static Problem NoAdapter()
    {
        return new Problem(409, "no-adapter", "No adapter serves yet.", "Finish a run that publishes one, or let that of a finished run serve: POST /api/adapters/{runId}/promote.");
    }

    /// <summary>What a function threw, in the product's words; nothing of an exception that was not written for users gets out.</summary>
    /// <param name="thrown">The exception.</param>
    /// <param name="isLate">The time allowed for an answer was over.</param>
    public static Problem Of(Exception thrown, bool isLate)
    {
        switch (thrown)
        {
            case ProblemException { Problem: var problem }:
                return problem;
            case InvalidInputException:
                return new Problem(400, "invalid-request", "The request cannot be answered as it stands.", thrown.Message);
            case BadHttpRequestException { StatusCode: 413 }:
                return new Problem(413, "too-large", "The body is too large.", "Send less at once; docs/operations.md says how the limit is set.");
            case BadHttpRequestException { StatusCode: var status }:
                return new Problem(status, "malformed-request", "The request could not be read.", "It ended too early or is no HTTP. Send it again, whole.");
            case CorruptArtifactException:
                return new Problem(500, "artifact-damaged", "Something that was stored is damaged.", thrown.Message);
            case OperationCanceledException when !isLate:
                return new Problem(503, "stopping", "The app is stopping.", "Ask again in a few seconds.") { RetryAfter = Soon };
        }

        if (isLate || IsFaultOfStorage(thrown))
        {
            return new Problem(503, "storage-unavailable", "The app's storage does not answer.",
                "What was asked may have been done or not; asking again does no harm. If this lasts, look at the storage account and the app's roles on it.")
            { RetryAfter = Soon };
        }

        return new Problem(500, "app-failed", "The app failed.", "It is not the request's fault. The log says why, under the correlation id of this answer.");
    }

    public IActionResult ToResult()
    {
        return new Answer(this);
    }

    /// <summary>Storage or the engine, which lives in it, is away or refuses: the SDK has tried again already.</summary>
    private static bool IsFaultOfStorage(Exception thrown)
    {
        return thrown switch
        {
            RequestFailedException or AuthenticationFailedException or RpcException or HttpRequestException or TimeoutException => true,
            AggregateException several => several.InnerExceptions.All(IsFaultOfStorage),
            IOException { InnerException: System.Net.Sockets.SocketException } => true,
            _ => false,
        };
    }

    private sealed class Answer(Problem problem) : IActionResult
    {
        public Task ExecuteResultAsync(ActionContext context)
        {
            if (problem.RetryAfter is { } wait)
                context.HttpContext.Response.Headers.RetryAfter = wait.TotalSeconds.ToString("F0", CultureInfo.InvariantCulture);
            return Answers.Content(problem, problem.Status, "application/problem+json").ExecuteResultAsync(context);
        }
    }
}

/// <summary>Ends a function with a problem from wherever it is found.</summary>
internal sealed class ProblemException(Problem problem) : Exception(problem.Detail)
{
    public Problem Problem { get; } = problem;
}
