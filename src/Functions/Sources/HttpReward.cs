using System.Net;
using System.Text.Json;
using Microsoft.Extensions.Configuration;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Rewards;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Sources;

/// <summary>The services that requests may have their responses scored by: on hosts that <c>RlhfRewardHosts</c> allows.</summary>
public sealed class RewardServices(IConfiguration configuration) : IDisposable
{
    private readonly AllowedHosts _hosts = new(configuration, "RlhfRewardHosts");
    private readonly HttpClient _http = AllowedHosts.Connect();

    /// <summary>What is wrong with a service's address, or null.</summary>
    public string? ProblemWith(string url)
    {
        return _hosts.ProblemWith(url);
    }

    /// <exception cref="InvalidInputException">The service may not be called.</exception>
    public ITextReward Open(HttpTerm term)
    {
        return ProblemWith(term.Url) is { } problem ? throw new InvalidInputException($"The reward term {term.Name}: {problem}") : new HttpReward(_http, term);
    }

    public void Dispose()
    {
        _http.Dispose();
    }
}

/// <summary>Scores by a service, some responses at a time and again where it fails for the moment.</summary>
internal sealed class HttpReward(HttpClient http, HttpTerm term) : ITextReward
{
    private static readonly TimeSpan FirstWait = TimeSpan.FromSeconds(0.5);

    /// <exception cref="InvalidInputException">The service refuses, or answers what are no scores.</exception>
    /// <exception cref="HttpRequestException">It could not be reached, however often it was tried.</exception>
    public IReadOnlyList<TextScore> Score(IReadOnlyList<PromptedResponse> responses, CancellationToken cancellationToken)
    {
        return [.. responses.Chunk(term.BatchSize).SelectMany(batch => Post(batch, cancellationToken)).Select(score => new TextScore(score))];
    }

    private float[] Post(PromptedResponse[] batch, CancellationToken cancellation)
    {
        byte[] body = JsonSerializer.SerializeToUtf8Bytes(
            new { Items = batch.Select(item => new { item.Prompt, item.Response, item.Reference }) }, ContractsJson.Options);
        for (int failures = 0; ; failures++)
        {
            try
            {
                return Read(Send(body, cancellation), batch.Length);
            }
            catch (HttpRequestException) when (failures < term.Retries)
            {
                cancellation.WaitHandle.WaitOne(FirstWait * Math.Pow(2, failures)); // work on a policy is synchronous
                cancellation.ThrowIfCancellationRequested();
            }
        }
    }

    private byte[] Send(byte[] body, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, term.Url);
        request.Content = new ByteArrayContent(body) { Headers = { ContentType = new("application/json") } };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(TimeSpan.FromSeconds(term.TimeoutSeconds));
        try
        {
            using var answer = http.Send(request, HttpCompletionOption.ResponseContentRead, limit.Token);
            if ((int)answer.StatusCode >= 500 || answer.StatusCode is HttpStatusCode.TooManyRequests or HttpStatusCode.RequestTimeout)
                throw new HttpRequestException($"{term.Url} answered {(int)answer.StatusCode}.", inner: null, answer.StatusCode);
            if (!answer.IsSuccessStatusCode) throw Wrong($"answered {(int)answer.StatusCode}");
            using var content = new MemoryStream();
            answer.Content.CopyTo(content, context: null, limit.Token);
            return content.ToArray();
        }
        catch (OperationCanceledException e) when (!cancellation.IsCancellationRequested)
        {
            throw new HttpRequestException($"{term.Url} did not answer within {term.TimeoutSeconds} seconds.", e);
        }
    }

    private float[] Read(byte[] answer, int count)
    {
        try
        {
            float[] scores = JsonSerializer.Deserialize<Answer>(answer, ContractsJson.Options)?.Scores ?? [];
            return scores.Length == count && scores.All(float.IsFinite) ? scores : throw Wrong($"answered {scores.Length} scores for {count} responses, or some that are no finite numbers");
        }
        catch (JsonException)
        {
            throw Wrong("answered what is not JSON of that form");
        }
    }

    private InvalidInputException Wrong(string what)
    {
        return new InvalidInputException($"The reward term {term.Name}: {term.Url} {what}. It must take a POST of {{\"items\": [{{\"prompt\", \"response\", \"reference\"}}]}} and answer {{\"scores\": [a number for each]}}.");
    }

    private sealed record Answer(float[]? Scores);
}
