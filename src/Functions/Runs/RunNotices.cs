using System.Globalization;
using System.Text.Json;
using Microsoft.DurableTask.Client;
using Microsoft.Extensions.Configuration;
using RlhfFunctions.Contracts;
using RlhfFunctions.Hosting;
using RlhfFunctions.Sources;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Runs;

/// <summary>
/// Tells whoever a run's request names that it has ended: one signed POST, on a host that <c>RlhfWebhookHosts</c> allows. The id is the
/// same at every attempt, so that what arrives twice can be told.
/// </summary>
public sealed class RunNotices(IConfiguration configuration, WebhookSecret secret, RunRequests requests, ArtifactStore artifacts, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly AllowedHosts _hosts = new(configuration, "RlhfWebhookHosts");
    private readonly HttpClient _http = AllowedHosts.Connect();

    /// <summary>What a notice is called in its body, and among the run's events.</summary>
    public static string TypeOf(RunEnd end)
    {
        return $"run.{end.ToString().ToLowerInvariant()}";
    }

    /// <summary>Begins to tell a run's end; begun again it is the same. No run's id has a dot.</summary>
    public static Task BeginAsync(DurableTaskClient engine, RunNotice notice, CancellationToken cancellation)
    {
        return engine.StartOnceAsync(FunctionNames.Notification, $"notice.{notice.Id}", notice, cancellation);
    }

    /// <summary>What is wrong with an address to be told at, or null.</summary>
    public string? ProblemWith(string url)
    {
        return _hosts.ProblemWith(url)
            ?? (secret.IsSet ? null : $"What is sent is signed, and this app has nothing to sign with. Its owner sets {WebhookSecret.Setting}.");
    }

    /// <summary>Tells it, in one attempt.</summary>
    /// <returns>False: there is nothing to tell. The run was deleted, or came to its end before it could be cancelled.</returns>
    /// <exception cref="InvalidInputException">The app may no longer call that host.</exception>
    /// <exception cref="HttpRequestException">It was not taken.</exception>
    public async Task<bool> SendAsync(RunNotice notice, CancellationToken cancellation)
    {
        if (await requests.FindAsync(notice.RunId, cancellation) is not { Notify.Url: var url } request) return false;
        var outcome = (await artifacts.FindAsync<RunOutcome>(BlobPaths.Run(notice.RunId), cancellation))?.Result;
        if (outcome is not null && notice.End == RunEnd.Cancelled) return false;
        if (ProblemWith(url) is { } problem) throw new InvalidInputException(problem);

        byte[] body = Write(notice, request, outcome);
        long seconds = time.GetUtcNow().ToUnixTimeSeconds();
        using var message = new HttpRequestMessage(HttpMethod.Post, url);
        message.Headers.Add("webhook-id", notice.Id);
        message.Headers.Add("webhook-timestamp", seconds.ToString(CultureInfo.InvariantCulture));
        message.Headers.Add("webhook-signature", secret.Sign(notice.Id, seconds, body));
        message.Content = new ByteArrayContent(body) { Headers = { ContentType = new("application/json") } };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Patience);
        try
        {
            using var answer = await _http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, limit.Token);
            return answer.IsSuccessStatusCode ? true
                : throw new HttpRequestException($"{message.RequestUri!.Authority} answered {(int)answer.StatusCode}, where a 2xx is needed.");
        }
        catch (OperationCanceledException e) when (!cancellation.IsCancellationRequested)
        {
            throw new HttpRequestException($"{message.RequestUri!.Authority} did not answer within {Patience.TotalSeconds} seconds.", e);
        }
    }

    public void Dispose()
    {
        _http.Dispose();
    }

    private static byte[] Write(RunNotice notice, RunRequest request, RunOutcome? outcome)
    {
        return JsonSerializer.SerializeToUtf8Bytes(
            new
            {
                Type = TypeOf(notice.End),
                Timestamp = notice.At,
                Data = new { notice.RunId, request.Name, request.Tags, notice.Reason, outcome?.Steps, outcome?.LabelBefore, outcome?.LabelAfter, outcome?.Published },
            },
            ContractsJson.Options);
    }
}
