using System.Diagnostics;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Azure.Functions.Worker.Middleware;
using Microsoft.Extensions.Logging;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Http;

/// <summary>
/// What every HTTP function goes through, so that none need think of it: an answer comes in time, what is thrown becomes
/// problem+json, answers and logs carry one correlation id, and browsers are told to do nothing with an answer but show it. Bodies are
/// read by <see cref="Answers.ReadAsync"/>, which bounds them.
/// </summary>
/// <remarks>Functions take the request's own RequestAborted as their token: it ends with the client, the host and the time allowed.</remarks>
public sealed partial class HttpBoundary(Limits limits, ILogger<HttpBoundary> log) : IFunctionsWorkerMiddleware
{
    /// <summary>Names one request in answers and logs; the client's own is kept where it is a plain word.</summary>
    public const string CorrelationId = "x-correlation-id";

    /// <summary>Our pages bring their style with them, and nothing else.</summary>
    private const string ContentSecurityPolicy =
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    /// <summary>Whether a function is one of HTTP.</summary>
    public static bool IsFor(FunctionContext context)
    {
        return context.FunctionDefinition.InputBindings.Values.Any(binding => binding.Type == "httpTrigger");
    }

    public async Task Invoke(FunctionContext context, FunctionExecutionDelegate next)
    {
        var http = context.GetHttpContext() ?? throw new InvalidOperationException("An HTTP function was called without a request.");
        string id = http.Request.Headers[CorrelationId] is [{ } named] && PlainWord().IsMatch(named) ? named : TraceOf(context);
        Protect(http, id);
        using var scope = log.BeginScope(new Dictionary<string, object> { ["CorrelationId"] = id });
        var client = http.RequestAborted;
        using var time = CancellationTokenSource.CreateLinkedTokenSource(client, context.CancellationToken);
        if (!TakesItsTime(context.FunctionDefinition.Name)) time.CancelAfter(TimeSpan.FromSeconds(limits.AnswerSeconds));
        http.RequestAborted = time.Token;
        try
        {
            await next(context);
        }
        catch (OperationCanceledException) when (client.IsCancellationRequested)
        {
            // Nobody is there to be answered.
        }
        catch (Exception e) when (!http.Response.HasStarted)
        {
            var problem = Problem.Of(e, isLate: time.IsCancellationRequested && !context.CancellationToken.IsCancellationRequested);
            if (problem.Status >= 500) LogProblem(log, e, http.Request.Method, http.Request.Path, problem.Status, problem.Type);
            context.GetInvocationResult().Value = (problem with { CorrelationId = id }).ToResult();
        }
        finally
        {
            http.RequestAborted = client; // the answer is written without a limit of ours
        }
    }

    /// <summary>Whether a function writes, scores or receives for as long as its client waits.</summary>
    private static bool TakesItsTime(string function)
    {
        return function is FunctionNames.Generate or FunctionNames.Score or FunctionNames.ChatCompletions or FunctionNames.PutDialogues or FunctionNames.PutModelFile;
    }

    private static void Protect(HttpContext http, string id)
    {
        var headers = http.Response.Headers;
        headers[CorrelationId] = id;
        headers.XContentTypeOptions = "nosniff";
        headers.ContentSecurityPolicy = ContentSecurityPolicy;
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers.CacheControl = "no-store";
    }

    private static string TraceOf(FunctionContext context)
    {
        return ActivityContext.TryParse(context.TraceContext.TraceParent, null, out var trace) ? trace.TraceId.ToHexString() : context.InvocationId;
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} {Path} was answered with {Status} {Problem}.")]
    private static partial void LogProblem(ILogger log, Exception e, string method, string path, int status, string problem);

    [GeneratedRegex("^[A-Za-z0-9._-]{1,64}$")]
    private static partial Regex PlainWord();
}
