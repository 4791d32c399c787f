using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>A service that is told of the ends of runs. At addresses below /flaky it fails the first time that it is told of one.</summary>
internal sealed class WebhookReceiver : IAsyncDisposable
{
    public const string Secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    private readonly WebApplication _server;
    private readonly ConcurrentQueue<Attempt> _attempts = new();

    private WebhookReceiver(WebApplication server)
    {
        _server = server;
    }

    /// <summary>Its address, which ends with a slash.</summary>
    public Uri Address => new(_server.Urls.Single());

    public static async Task<WebhookReceiver> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var receiver = new WebhookReceiver(builder.Build());
        receiver._server.MapPost("{**path}", receiver.TakeAsync);
        await receiver._server.StartAsync();
        return receiver;
    }

    /// <summary>What came to an address, in order; waits until it has taken so many.</summary>
    public async Task<IReadOnlyList<Attempt>> WaitAsync(string path, int taken = 1)
    {
        for (var deadline = DateTime.UtcNow.AddMinutes(1); ; await Task.Delay(50))
        {
            Attempt[] here = [.. _attempts.Where(attempt => attempt.Path == path)];
            if (here.Count(attempt => attempt.Status == 204) >= taken) return here;
            Assert.True(DateTime.UtcNow < deadline, $"{path} was told {here.Length} times in a minute: {string.Join("; ", here.Select(attempt => attempt.Body))}");
        }
    }

    public ValueTask DisposeAsync()
    {
        return _server.DisposeAsync();
    }

    private async Task TakeAsync(HttpContext http)
    {
        using var reader = new StreamReader(http.Request.Body);
        string body = await reader.ReadToEndAsync(), path = http.Request.Path;
        string Header(string name) => http.Request.Headers[name].ToString();
        string id = Header("webhook-id");
        bool isFirst = !_attempts.Any(attempt => attempt.Id == id);
        int status = path.StartsWith("/elsewhere", StringComparison.Ordinal) ? 302 : isFirst && path.StartsWith("/flaky", StringComparison.Ordinal) ? 503 : 204;
        _attempts.Enqueue(new Attempt(path, id, Header("webhook-timestamp"), Header("webhook-signature"), body, status));
        if (status == 302) http.Response.Headers.Location = new Uri(Address, "/steady/elsewhere").ToString();
        http.Response.StatusCode = status;
    }

    /// <summary>A POST as it came, and how it was answered.</summary>
    internal sealed record Attempt(string Path, string Id, string Timestamp, string Signature, string Body, int Status)
    {
        public JsonElement Json => JsonSerializer.Deserialize<JsonElement>(Body);

        /// <summary>As a receiver that has only read the specification checks it.</summary>
        public void AssertIsSigned()
        {
            byte[] key = Convert.FromBase64String(Secret["whsec_".Length..]);
            byte[] hash = HMACSHA256.HashData(key, Encoding.UTF8.GetBytes($"{Id}.{Timestamp}.{Body}"));
            Assert.Equal($"v1,{Convert.ToBase64String(hash)}", Signature);
            var at = DateTimeOffset.FromUnixTimeSeconds(long.Parse(Timestamp, null));
            Assert.InRange(at, DateTimeOffset.UtcNow.AddMinutes(-10), DateTimeOffset.UtcNow.AddMinutes(1));
        }
    }
}
