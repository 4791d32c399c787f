using System.Net;
using System.Text;
using System.Text.Json;
using RlhfFunctions.Functions.Tests.EndToEnd;

namespace RlhfFunctions.Functions.Tests.Http;

/// <summary>What holds of every answer, whatever function gives it.</summary>
[Collection(nameof(FreshAppTests))]
public sealed class BoundaryTests(RunningApp running)
{
    [Theory]
    [InlineData("GET", "/api/nothing", HttpStatusCode.NotFound, "no-such-address", null)]
    [InlineData("GET", "/nothing", HttpStatusCode.NotFound, "no-such-address", null)]
    [InlineData("DELETE", "/api/runs", HttpStatusCode.MethodNotAllowed, "wrong-method", "GET, POST")]
    [InlineData("GET", "/api/generate", HttpStatusCode.MethodNotAllowed, "wrong-method", "POST")]
    [InlineData("PUT", "/api/runs/some/report", HttpStatusCode.MethodNotAllowed, "wrong-method", "GET")]
    public async Task Wrong_addresses_and_methods_are_told_in_words(string method, string path, HttpStatusCode status, string type, string? allow)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(path, UriKind.Relative));
        using var answer = await running.App.Http.SendAsync(request);
        Assert.Equal(status, answer.StatusCode);
        Assert.Equal($"urn:rlhf:problem:{type}", (await ProblemAsync(answer)).GetProperty("type").GetString());
        Assert.Equal(allow, answer.Content.Headers.Contains("Allow") ? string.Join(", ", answer.Content.Headers.Allow) : null);
    }

    [Fact]
    public async Task A_body_above_the_limit_is_refused()
    {
        using var content = new StringContent($$"""{"prompts":["{{new string('x', 5_000_000)}}"]}""", Encoding.UTF8, "application/json");
        using var answer = await running.App.Http.PostAsync(new Uri("/api/generate", UriKind.Relative), content);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, answer.StatusCode);
        Assert.Equal("urn:rlhf:problem:too-large", (await ProblemAsync(answer)).GetProperty("type").GetString());
    }

    [Fact]
    public async Task A_prompt_above_the_limit_is_refused_by_name()
    {
        using var content = new StringContent($$"""{"prompts":["a","{{new string('x', 200_000)}}"]}""", Encoding.UTF8, "application/json");
        using var answer = await running.App.Http.PostAsync(new Uri("/api/generate", UriKind.Relative), content);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("prompts[1]: must not be longer than 100000 characters", (await ProblemAsync(answer)).GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_answer_carries_a_correlation_id_which_may_be_the_clients_own()
    {
        using var answer = await running.App.Http.GetAsync(new Uri("/api/runs/nobody", UriKind.Relative));
        Assert.Matches("^[0-9a-f]{32}$", Assert.Single(answer.Headers.GetValues("x-correlation-id")));

        foreach (var (sent, isKept) in new[] { ("order-66", true), ("<script>", false) })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/api/health", UriKind.Relative));
            request.Headers.Add("x-correlation-id", sent);
            using var own = await running.App.Http.SendAsync(request);
            Assert.Equal(isKept, own.Headers.GetValues("x-correlation-id").Single() == sent);
        }
    }

    [Fact]
    public async Task Browsers_are_told_to_do_nothing_with_an_answer()
    {
        using var answer = await running.App.Http.GetAsync(new Uri("/api/health", UriKind.Relative));
        Assert.Equal("nosniff", answer.Headers.GetValues("X-Content-Type-Options").Single());
        Assert.StartsWith("default-src 'none'", answer.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
        Assert.Equal("no-referrer", answer.Headers.GetValues("Referrer-Policy").Single());
        Assert.True(answer.Headers.CacheControl!.NoStore);
    }

    private static async Task<JsonElement> ProblemAsync(HttpResponseMessage answer)
    {
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        using var problem = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        return problem.RootElement.Clone();
    }
}
