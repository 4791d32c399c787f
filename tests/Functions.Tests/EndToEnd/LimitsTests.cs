using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>An app that may take little at once: what is beyond that is refused in words, and what is within it is answered while a run learns.</summary>
public sealed class LimitsTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>docs/operations.md promises it.</summary>
    private static readonly TimeSpan AnsweredWhileLearning = TimeSpan.FromSeconds(30);

    private readonly LocalApp _app = new();

    public async ValueTask InitializeAsync()
    {
        await _app.StartAsync(new Dictionary<string, string>
        {
            [$"RlhfLimits__{nameof(Limits.UnfinishedRuns)}"] = "1",
            [$"RlhfLimits__{nameof(Limits.WaitingForTexts)}"] = "0",
            [$"RlhfLimits__{nameof(Limits.DataBytes)}"] = "100000",
        });
    }

    [Fact]
    public async Task What_is_too_much_is_refused_and_what_is_not_is_answered_while_a_run_learns()
    {
        var request = TinyRun.Request("only", steps: 500);
        using (var tooLarge = await _app.PostRunAsync(request))
            Assert.Contains("more than the 100000", (await ProblemAsync(tooLarge, HttpStatusCode.BadRequest, "invalid-request")).GetProperty("errors").GetProperty("data.train")[0].GetString(), StringComparison.Ordinal);
        using (var upload = await _app.Http.PutAsync(new Uri("/api/dialogues/big.csv", UriKind.Relative), new StringContent(new string('x', 100_001), Encoding.UTF8, "text/csv")))
            await ProblemAsync(upload, HttpStatusCode.RequestEntityTooLarge, "too-large");

        request = request with { Data = request.Data with { Train = request.Data.Test } };
        using (await _app.PostRunAsync(request with { RunId = "whole", Training = request.Training with { Steps = 1 } })) { }
        await _app.WaitAsync("whole", view => view.Status == "Completed", Patience);
        using (var first = await _app.PostRunAsync(request)) Assert.True(first.StatusCode == HttpStatusCode.Accepted, await first.Content.ReadAsStringAsync());
        using (var second = await _app.PostRunAsync(request with { RunId = "one-more" }))
        {
            await ProblemAsync(second, HttpStatusCode.TooManyRequests, "too-many-runs");
            Assert.NotNull(second.Headers.RetryAfter);
        }

        using (var again = await _app.PostRunAsync(request)) Assert.Equal(HttpStatusCode.Accepted, again.StatusCode);

        await _app.WaitAsync("only", view => view.Progress?.Step >= 1, Patience);
        for (int i = 0; i < 3; i++)
        {
            long startedAt = Stopwatch.GetTimestamp();
            using var text = await GenerateAsync();
            Assert.Equal(HttpStatusCode.OK, text.StatusCode);
            using var scored = await _app.Http.PostAsJsonAsync("/api/score", new { texts = new[] { "You are kind." }, runId = "whole" });
            Assert.True(scored.IsSuccessStatusCode, await scored.Content.ReadAsStringAsync());
            Assert.InRange(Stopwatch.GetElapsedTime(startedAt), TimeSpan.Zero, 2 * AnsweredWhileLearning);
        }

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => GenerateAsync()));
        Assert.Contains(answers, answer => answer.StatusCode == HttpStatusCode.OK);
        var refused = answers.Where(answer => answer.StatusCode != HttpStatusCode.OK).ToList();
        Assert.NotEmpty(refused);
        foreach (var answer in refused)
        {
            await ProblemAsync(answer, HttpStatusCode.TooManyRequests, "too-many-requests");
            Assert.NotNull(answer.Headers.RetryAfter);
        }

        Assert.Equal("Running", (await _app.FindRunAsync("only"))!.Status);
        foreach (var answer in answers) answer.Dispose();
    }

    public ValueTask DisposeAsync()
    {
        _app.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task<HttpResponseMessage> GenerateAsync()
    {
        return await _app.Http.PostAsJsonAsync("/api/generate", new { prompts = new[] { "Summarize: hello." }, maxNewTokens = 40 });
    }

    private static async Task<JsonElement> ProblemAsync(HttpResponseMessage answer, HttpStatusCode status, string type)
    {
        string body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == status, $"{answer.StatusCode}: {body}");
        using var problem = JsonDocument.Parse(body);
        Assert.Equal($"urn:rlhf:problem:{type}", problem.RootElement.GetProperty("type").GetString());
        return problem.RootElement.Clone();
    }
}
