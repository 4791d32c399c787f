using System.Net.Http.Json;
using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>Talks to the app as any client would: over HTTP.</summary>
internal sealed class RunClient(Uri host) : IDisposable
{
    private readonly HttpClient _http = new() { BaseAddress = host };

    /// <summary>POST /api/runs.</summary>
    public async Task StartAsync(RunRequest request, CancellationToken cancellation)
    {
        using var answer = await _http.PostAsJsonAsync("/api/runs", request, ContractsJson.Options, cancellation);
        await ThrowOnProblemAsync(answer, cancellation);
    }

    /// <summary>GET /api/runs/{id}.</summary>
    public async Task<RunView> GetAsync(string runId, CancellationToken cancellation)
    {
        using var answer = await _http.GetAsync(new Uri($"/api/runs/{runId}", UriKind.Relative), cancellation);
        await ThrowOnProblemAsync(answer, cancellation);
        return (await answer.Content.ReadFromJsonAsync<RunView>(ContractsJson.Options, cancellation))!;
    }

    public void Dispose()
    {
        _http.Dispose();
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
