using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>No page of the web starts runs on a developer's machine.</summary>
[Collection(nameof(FreshAppTests))]
public sealed class LocalOnlyTests(RunningApp running)
{
    [Theory]
    [InlineData("Origin", "https://evil.example")]
    [InlineData("Origin", "null")]
    [InlineData("Origin", "http://localhost:1")]
    [InlineData("Host", "evil.example")]
    [InlineData("Host", "localhost.evil.example:7071")]
    public async Task A_request_from_elsewhere_is_refused(string header, string value)
    {
        foreach (string path in new[] { "/api/runs", "/runtime/webhooks/durabletask/instances/x/terminate" })
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
            Assert.True(request.Headers.TryAddWithoutValidation(header, value));
            await RefusedAsync(request, HttpStatusCode.Forbidden);
        }
    }

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("multipart/form-data")]
    [InlineData(null)]
    public async Task What_a_form_can_send_is_refused(string? type)
    {
        foreach (string path in new[] { "/api/runs", "/api/generate", "/runtime/webhooks/durabletask/instances/x/terminate" })
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new ByteArrayContent("{}"u8.ToArray()) };
            if (type is not null) request.Content.Headers.ContentType = new MediaTypeHeaderValue(type);
            await RefusedAsync(request, HttpStatusCode.UnsupportedMediaType);
        }
    }

    [Fact]
    public async Task A_page_of_its_own_is_served()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/health");
        request.Headers.Add("Origin", $"http://127.0.0.1:{running.App.Http.BaseAddress!.Port}");
        using var answer = await running.App.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public void Nobody_outside_this_machine_reaches_it()
    {
        // Whatever listens on this port listens on a loopback address: /proc/net/tcp writes 127.0.0.1 as 0100007F, ::1 as 0…01000000.
        string port = $":{running.App.Http.BaseAddress!.Port:X4}";
        string[] listening = [.. File.ReadLines("/proc/net/tcp").Concat(File.ReadLines("/proc/net/tcp6"))
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(fields => fields[1].EndsWith(port, StringComparison.Ordinal) && fields[3] == "0A").Select(fields => fields[1])];
        Assert.NotEmpty(listening);
        Assert.All(listening, address => Assert.True(address.StartsWith("0100007F", StringComparison.Ordinal) || address.StartsWith("00000000000000000000000001000000", StringComparison.Ordinal), address));
    }

    private async Task RefusedAsync(HttpRequestMessage request, HttpStatusCode status)
    {
        using var answer = await running.App.Http.SendAsync(request);
        Assert.Equal(status, answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        using var problem = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        Assert.Equal((int)status, problem.RootElement.GetProperty("status").GetInt32());
        Assert.False(string.IsNullOrEmpty(problem.RootElement.GetProperty("detail").GetString()));
    }
}

/// <summary>Who starts no run shares a host on which none has run.</summary>
[CollectionDefinition(nameof(FreshAppTests))]
public sealed class FreshAppCollection : ICollectionFixture<RunningApp>;
