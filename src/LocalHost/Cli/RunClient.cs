using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using RlhfFunctions.Contracts;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>Talks to the app as any client would: over HTTP.</summary>
/// <param name="host">The app's address.</param>
/// <param name="key">Its function key; null: it asks for none.</param>
internal sealed class RunClient(Uri host, string? key = null) : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly HttpClient _http = Open(host, key);

    /// <summary>POST /api/runs.</summary>
    public async Task StartAsync(RunRequest request, CancellationToken cancellation)
    {
        using var answer = await _http.PostAsJsonAsync("/api/runs", request, ContractsJson.Options, cancellation);
        await ThrowOnProblemAsync(answer, cancellation);
    }

    /// <summary>GET /api/runs/{id}.</summary>
    public Task<RunView> GetAsync(string runId, CancellationToken cancellation)
    {
        return GetAsync<RunView>($"/api/runs/{runId}", cancellation);
    }

    /// <summary>GET /api/runs/{id}/metrics: an object for each step done.</summary>
    public Task<JsonObject[]> MetricsAsync(string runId, CancellationToken cancellation)
    {
        return GetAsync<JsonObject[]>($"/api/runs/{runId}/metrics", cancellation);
    }

    /// <summary>POST /api/generate.</summary>
    public async Task<GenerateAnswer> GenerateAsync(GenerateRequest request, CancellationToken cancellation)
    {
        using var answer = await _http.PostAsJsonAsync("/api/generate", request, ContractsJson.Options, cancellation);
        await ThrowOnProblemAsync(answer, cancellation);
        return (await answer.Content.ReadFromJsonAsync<GenerateAnswer>(ContractsJson.Options, cancellation))!;
    }

    /// <summary>POST /api/runs/{id}/{action}, and how the run fares then.</summary>
    /// <param name="runId">The run.</param>
    /// <param name="action">suspend, resume or cancel.</param>
    /// <param name="reason">Why; null: nothing is said.</param>
    /// <param name="cancellation">Gives up.</param>
    public async Task<RunView> ControlAsync(string runId, string action, string? reason, CancellationToken cancellation)
    {
        string query = reason is null ? "" : $"?reason={Uri.EscapeDataString(reason)}";
        using var answer = await _http.PostAsJsonAsync($"/api/runs/{runId}/{action}{query}", new { }, ContractsJson.Options, cancellation);
        await ThrowOnProblemAsync(answer, cancellation);
        return await GetAsync(runId, cancellation);
    }

    /// <summary>POST /api/v1/chat/completions: the pieces of the answer as they come.</summary>
    /// <param name="model">Who answers.</param>
    /// <param name="turns">The conversation so far: role and text.</param>
    /// <param name="maxTokens">Of the answer; null: as in the run's rollouts.</param>
    /// <param name="cancellation">Gives up.</param>
    public async IAsyncEnumerable<string> ChatAsync(
        string model, IEnumerable<(string Role, string Text)> turns, int? maxTokens, [EnumeratorCancellation] CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/api/v1/chat/completions", UriKind.Relative));
        var messages = new JsonArray([.. turns.Select(turn => new JsonObject { ["role"] = turn.Role, ["content"] = turn.Text })]);
        var body = new JsonObject { ["model"] = model, ["messages"] = messages, ["max_completion_tokens"] = maxTokens, ["stream"] = true };
        request.Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
        using var answer = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
        await ThrowOnProblemAsync(answer, cancellation);
        await foreach (var item in SseParser.Create(await answer.Content.ReadAsStreamAsync(cancellation)).EnumerateAsync(cancellation))
        {
            if (item.Data == "[DONE]") yield break;
            var chunk = JsonNode.Parse(item.Data)!;
            if (chunk["error"] is { } error) throw new UserErrorException($"{error["title"]} {error["detail"]}");
            if (chunk["choices"]?[0]?["delta"]?["content"]?.GetValue<string>() is { } text) yield return text;
        }
    }

    /// <summary>GET /api/runs, the newest first: the runs whose id starts so.</summary>
    public async Task<IReadOnlyList<RunListItem>> ListAsync(string prefix, CancellationToken cancellation)
    {
        var runs = new List<RunListItem>();
        for (string address = "/api/runs"; ; address = $"/api/runs?after={runs[^1].RunId}")
        {
            var page = await GetAsync<RunListItem[]>(address, cancellation);
            runs.AddRange(page);
            if (page.Length == 0) return [.. runs.Where(run => run.RunId.StartsWith(prefix, StringComparison.Ordinal))];
        }
    }

    /// <summary>POSTs a body and reads the answer.</summary>
    public async Task<T> PostAsync<T>(string address, object body, CancellationToken cancellation)
    {
        using var answer = await _http.PostAsJsonAsync(address, body, ContractsJson.Options, cancellation);
        await ThrowOnProblemAsync(answer, cancellation);
        return (await answer.Content.ReadFromJsonAsync<T>(ContractsJson.Options, cancellation))!;
    }

    /// <summary>GETs a text.</summary>
    public async Task<string> GetTextAsync(string address, CancellationToken cancellation)
    {
        using var answer = await _http.GetAsync(new Uri(address, UriKind.Relative), cancellation);
        await ThrowOnProblemAsync(answer, cancellation);
        return await answer.Content.ReadAsStringAsync(cancellation);
    }

    public void Dispose()
    {
        _http.Dispose();
    }

    private static HttpClient Open(Uri host, string? key)
    {
        var http = new HttpClient { BaseAddress = host };
        if (key is { Length: > 0 }) http.DefaultRequestHeaders.Add("x-functions-key", key);
        return http;
    }

    /// <summary>Asks again for a while where nobody answers: the host may be starting anew.</summary>
    public async Task<T> GetAsync<T>(string address, CancellationToken cancellation)
    {
        for (var startedAt = Stopwatch.GetTimestamp(); ; await Task.Delay(500, cancellation))
        {
            try
            {
                using var answer = await _http.GetAsync(new Uri(address, UriKind.Relative), cancellation);
                if (answer.StatusCode == HttpStatusCode.ServiceUnavailable && Stopwatch.GetElapsedTime(startedAt) < Patience) continue;
                await ThrowOnProblemAsync(answer, cancellation);
                return (await answer.Content.ReadFromJsonAsync<T>(ContractsJson.Options, cancellation))!;
            }
            catch (HttpRequestException e)
            {
                if (Stopwatch.GetElapsedTime(startedAt) > Patience) throw new UserErrorException($"{_http.BaseAddress} does not answer: {e.Message}", e);
            }
        }
    }

    private static async Task ThrowOnProblemAsync(HttpResponseMessage answer, CancellationToken cancellation)
    {
        if (answer.IsSuccessStatusCode) return;
        string body = await answer.Content.ReadAsStringAsync(cancellation);
        if (answer.Content.Headers.ContentType?.MediaType != "application/problem+json")
            throw new UserErrorException($"{answer.RequestMessage?.RequestUri} answered {(int)answer.StatusCode}: {body}");
        using var problem = JsonDocument.Parse(body);
        throw new UserErrorException($"{problem.RootElement.GetProperty("title").GetString()} {problem.RootElement.GetProperty("detail").GetString()}");
    }
}
