using System.Collections.Concurrent;
using System.IO.Compression;
using System.Net;
using System.Text;
using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace RlhfFunctions.Functions.Tests.Telemetry;

/// <summary>A span, and which program sent it.</summary>
internal sealed record CollectedSpan(string Service, string Source, Span Span)
{
    public string Id => Span.SpanId.ToBase64();

    public string Parent => Span.ParentSpanId.ToBase64();

    public string? this[string attribute] => Span.Attributes.FirstOrDefault(one => one.Key == attribute)?.Value.StringValue;
}

/// <summary>A collector of OpenTelemetry's protocol over HTTP, and an endpoint of Azure Monitor, that keep what they are sent.</summary>
internal sealed class Collector : IAsyncDisposable
{
    private readonly WebApplication _server;
    private readonly ConcurrentQueue<byte[]> _bodies = new();

    private Collector(WebApplication server)
    {
        _server = server;
    }

    public ConcurrentQueue<CollectedSpan> Spans { get; } = new();

    public ConcurrentQueue<Metric> Metrics { get; } = new();

    public ConcurrentQueue<LogRecord> Logs { get; } = new();

    /// <summary>What came in Azure Monitor's own form: JSON, a line each.</summary>
    public ConcurrentQueue<string> Monitored { get; } = new();

    /// <summary>The environment of a program that reports here, soon and whole.</summary>
    public IReadOnlyDictionary<string, string> Environment => new Dictionary<string, string>
    {
        ["OTEL_EXPORTER_OTLP_ENDPOINT"] = _server.Urls.Single(),
        ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
        ["OTEL_BSP_SCHEDULE_DELAY"] = "200",
        ["OTEL_BLRP_SCHEDULE_DELAY"] = "200",
        ["OTEL_METRIC_EXPORT_INTERVAL"] = "500",
        ["APPLICATIONINSIGHTS_CONNECTION_STRING"] = $"InstrumentationKey={Guid.Empty};IngestionEndpoint={_server.Urls.Single()}/",
        ["APPLICATIONINSIGHTS_STATSBEAT_DISABLED"] = "true",
    };

    public static async Task<Collector> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var server = builder.Build();
        var collector = new Collector(server);
        server.MapPost("/v1/traces", http => collector.TakeAsync(http, ExportedSpans.Parser, collector.Add));
        server.MapPost("/v1/metrics", http => collector.TakeAsync(http, ExportedMetrics.Parser, collector.Add));
        server.MapPost("/v1/logs", http => collector.TakeAsync(http, ExportedLogs.Parser, collector.Add));
        server.MapPost("/v2.1/track", collector.TakeMonitorAsync);
        await server.StartAsync();
        return collector;
    }

    /// <summary>Whether a text stands anywhere in what was sent.</summary>
    public bool Heard(string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        return _bodies.Any(body => body.AsSpan().IndexOf(bytes) >= 0);
    }

    public ValueTask DisposeAsync()
    {
        return _server.DisposeAsync();
    }

    private async Task TakeAsync<T>(HttpContext http, MessageParser<T> parser, Action<T> add)
        where T : IMessage<T>
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body);
        _bodies.Enqueue(body.ToArray());
        add(parser.ParseFrom(body.ToArray()));
    }

    private async Task TakeMonitorAsync(HttpContext http)
    {
        bool isPacked = http.Request.Headers.ContentEncoding == "gzip";
        using var text = new StreamReader(isPacked ? new GZipStream(http.Request.Body, CompressionMode.Decompress) : http.Request.Body);
        string body = await text.ReadToEndAsync();
        _bodies.Enqueue(Encoding.UTF8.GetBytes(body));
        foreach (string line in body.Split('\n', StringSplitOptions.RemoveEmptyEntries)) Monitored.Enqueue(line);
    }

    private void Add(ExportedSpans exported)
    {
        foreach (var resource in exported.ResourceSpans)
        {
            string service = resource.Resource.Attributes.FirstOrDefault(one => one.Key == "service.name")?.Value.StringValue ?? "";
            foreach (var scope in resource.ScopeSpans)
            {
                foreach (var span in scope.Spans) Spans.Enqueue(new CollectedSpan(service, scope.Scope.Name, span));
            }
        }
    }

    private void Add(ExportedMetrics exported)
    {
        foreach (var metric in exported.ResourceMetrics.SelectMany(resource => resource.ScopeMetrics).SelectMany(scope => scope.Metrics)) Metrics.Enqueue(metric);
    }

    private void Add(ExportedLogs exported)
    {
        foreach (var record in exported.ResourceLogs.SelectMany(resource => resource.ScopeLogs).SelectMany(scope => scope.LogRecords)) Logs.Enqueue(record);
    }
}
