using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;
using Microsoft.Net.Http.Headers;

namespace RlhfFunctions.Functions.Tests.Hub;

/// <summary>A request as it came in.</summary>
/// <param name="Path">Without the query; encoded characters as they came.</param>
/// <param name="Authorization">The header, or null.</param>
/// <param name="Range">The header, or null.</param>
internal sealed record HubRequest(string Path, string? Authorization, string? Range);

/// <summary>
/// A hub of the test's own: repositories in memory, large files served by redirecting to another address, and per request what
/// goes wrong.
/// </summary>
internal sealed class HubServer : IAsyncDisposable
{
    public const string Commit = "0123456789abcdef0123456789abcdef01234567";

    private readonly WebApplication _app;
    private readonly ConcurrentDictionary<string, IReadOnlyDictionary<string, byte[]>> _repositories = [];
    private readonly ConcurrentDictionary<string, ConcurrentQueue<Fault>> _faults = [];
    private readonly ConcurrentQueue<HubRequest> _requests = [];

    private HubServer(WebApplication app)
    {
        _app = app;
    }

    /// <summary>What a server does instead of answering properly.</summary>
    /// <param name="http">The request.</param>
    /// <param name="content">What it should have sent; empty for an address that is no file.</param>
    /// <returns>Whether it has answered; false: go on with the proper answer.</returns>
    internal delegate Task<bool> Fault(HttpContext http, byte[] content);

    public Uri Address => new(_app.Urls.First() + "/");

    public IReadOnlyList<HubRequest> Requests => [.. _requests];

    /// <summary>What was asked for under the names of files.</summary>
    public IEnumerable<string> FilesAskedFor => Requests.Where(request => request.Path.Contains("/resolve/", StringComparison.Ordinal))
        .Select(request => request.Path[(request.Path.LastIndexOf('/') + 1)..]);

    public static async Task<HubServer> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.SetMinimumLevel(LogLevel.None);
        var app = builder.Build();
        var server = new HubServer(app);
        app.Run(server.AnswerAsync);
        await app.StartAsync();
        return server;
    }

    /// <param name="name"><c>owner/name</c>, or <c>datasets/owner/name</c></param>
    /// <param name="files">Safetensors files are kept as large ones, the others in git.</param>
    public void Add(string name, IReadOnlyDictionary<string, byte[]> files)
    {
        _repositories[name] = files;
    }

    /// <summary>Requests whose path ends so meet with these faults, one each, and with none after the last.</summary>
    public void Script(string pathEnd, params Fault[] faults)
    {
        _faults[pathEnd] = new ConcurrentQueue<Fault>(faults);
    }

    public void Forget()
    {
        _requests.Clear();
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
    }

    public static Fault Cut(int after)
    {
        return async (http, content) =>
        {
            await BeginAsync(http, content, after);
            return true; // for want of the rest the connection is closed; aborting it could take back bytes that were sent
        };
    }

    public static Fault Stall(int after)
    {
        return async (http, content) =>
        {
            await BeginAsync(http, content, after);
            await Task.Delay(Timeout.Infinite, http.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
            return true;
        };
    }

    public static Fault Status(int status, params (string Name, string Value)[] headers)
    {
        return (http, _) =>
        {
            http.Response.StatusCode = status;
            foreach (var (name, value) in headers) http.Response.Headers[name] = value;
            return Task.FromResult(true);
        };
    }

    /// <summary>A server that knows no ranges.</summary>
    public static Fault Whole()
    {
        return async (http, content) =>
        {
            http.Response.ContentLength = content.Length;
            await http.Response.Body.WriteAsync(content);
            return true;
        };
    }

    /// <summary>As whole as HTTP can tell, but with another length or other bytes.</summary>
    public static Fault Instead(Func<byte[], byte[]> change)
    {
        return (http, content) => Whole()(http, change(content));
    }

    /// <summary>Nothing wrong with this request.</summary>
    public static Fault None()
    {
        return (_, _) => Task.FromResult(false);
    }

    private static async Task BeginAsync(HttpContext http, byte[] content, int length)
    {
        int from = 0;
        if (http.Request.GetTypedHeaders().Range is { } range)
        {
            from = (int)range.Ranges.Single().From!.Value;
            http.Response.StatusCode = StatusCodes.Status206PartialContent;
            http.Response.GetTypedHeaders().ContentRange = new ContentRangeHeaderValue(from, content.Length - 1, content.Length);
        }

        http.Response.ContentLength = content.Length - from;
        await http.Response.StartAsync();
        await http.Response.Body.WriteAsync(content.AsMemory(from, length));
        await http.Response.Body.FlushAsync();
    }

    private async Task AnswerAsync(HttpContext http)
    {
        string path = http.Features.Get<IHttpRequestFeature>()!.RawTarget.Split('?')[0];
        _requests.Enqueue(new HubRequest(path, Header(http, HeaderNames.Authorization), Header(http, HeaderNames.Range)));
        string[] parts = path.Trim('/').Split('/');
        bool isCdn = parts[0] == "cdn";
        string[] rest = isCdn ? parts[1..] : parts;
        int action = Array.FindIndex(rest, part => part is "revision" or "resolve");
        string name = action < 0 ? "" : string.Join('/', rest[..action]).Replace("api/models/", "", StringComparison.Ordinal).Replace("api/", "", StringComparison.Ordinal);
        var files = _repositories.GetValueOrDefault(name);
        string file = action < 0 ? "" : Uri.UnescapeDataString(string.Join('/', rest[Math.Min(action + 2, rest.Length)..]));
        byte[]? content = files?.GetValueOrDefault(file);

        bool isRedirected = content is not null && IsLarge(file) && !isCdn;
        if (!isRedirected && await TryFaultAsync(http, path, content ?? [])) return;
        if (isRedirected) http.Response.Redirect($"http://localhost:{Address.Port}/cdn{path}?signature=secret");
        else if (content is not null) await ServeAsync(http, content);
        else if (files is not null && path.Contains("/api/", StringComparison.Ordinal)) await http.Response.WriteAsJsonAsync(Describe(files));
        else http.Response.StatusCode = (int)(files is null ? HttpStatusCode.Unauthorized : HttpStatusCode.NotFound); // as the real one does
    }

    private async Task<bool> TryFaultAsync(HttpContext http, string path, byte[] content)
    {
        foreach (var (end, queue) in _faults)
        {
            if (path.EndsWith(end, StringComparison.Ordinal) && queue.TryDequeue(out var fault)) return await fault(http, content);
        }

        return false;
    }

    private static Task ServeAsync(HttpContext http, byte[] content)
    {
        string tag = $"\"{Convert.ToHexStringLower(SHA256.HashData(content))}\"";
        return Results.Bytes(content, enableRangeProcessing: true, entityTag: new EntityTagHeaderValue(tag)).ExecuteAsync(http);
    }

    private static object Describe(IReadOnlyDictionary<string, byte[]> files)
    {
        return new
        {
            id = "whatever",
            sha = Commit,
            siblings = files.Select(file => new
            {
                rfilename = file.Key,
                size = file.Value.Length,
                blobId = GitName(file.Value),
                lfs = IsLarge(file.Key)
                    ? new { sha256 = Convert.ToHexStringLower(SHA256.HashData(file.Value)), size = file.Value.Length, pointerSize = 135 }
                    : null,
            }),
        };
    }

    private static string GitName(byte[] content)
    {
        byte[] named = [.. Encoding.ASCII.GetBytes($"blob {content.Length}\0"), .. content];
        return Convert.ToHexStringLower(CryptographicOperations.HashData(HashAlgorithmName.SHA1, named));
    }

    private static bool IsLarge(string file)
    {
        return file.EndsWith(".safetensors", StringComparison.Ordinal);
    }

    private static string? Header(HttpContext http, string name)
    {
        return http.Request.Headers.TryGetValue(name, out var values) ? values.ToString() : null;
    }
}
