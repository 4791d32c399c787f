using System.Collections.Concurrent;
using System.Text.Json;
using Azure.Storage.Blobs;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.DurableTask.Client;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.Functions.Tests.LocalHost;

/// <summary>What the functions of a test have in common with the test.</summary>
public sealed class Probe
{
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _gates = new();

    public ConcurrentQueue<string> Calls { get; } = [];

    public int Count(string call) => Calls.Count(made => made == call);

    /// <summary>A task that is done once the test, or the function, opens the gate.</summary>
    public Task Gate(string name) => Source(name).Task;

    public void Open(string name) => Source(name).TrySetResult();

    private TaskCompletionSource Source(string name) =>
        _gates.GetOrAdd(name, _ => new(TaskCreationOptions.RunContinuationsAsynchronously));
}

/// <summary>A local host with some function classes, on a free port.</summary>
internal sealed class TestHost : IAsyncDisposable
{
    public const int MaxConcurrentActivities = 4;

    private readonly WebApplication _app;

    private TestHost(WebApplication app) => _app = app;

    public Probe Probe => _app.Services.GetRequiredService<Probe>();

    public IServiceProvider Services => _app.Services;

    public DurableTaskClient Client => _app.Services.GetRequiredService<DurableTaskClient>();

    public HttpClient Http => new() { BaseAddress = new(_app.Urls.First()) };

    public ConcurrentQueue<string> Log { get; } = [];

    public static async Task<TestHost> StartAsync(
        BlobServiceClient blobs,
        string taskHub,
        IEnumerable<Type> functionClasses,
        Probe? probe = null,
        Action<WebApplicationBuilder>? configure = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddSingleton(blobs);
        builder.Services.AddSingleton(probe ?? new());
        builder.Services.AddLocalFunctions(functionClasses, new()
        {
            Json = new(JsonSerializerDefaults.Web),
            TaskHub = taskHub,
            MaxConcurrentActivities = MaxConcurrentActivities,
            BlobPollInterval = TimeSpan.FromMilliseconds(200),
        });
        configure?.Invoke(builder);
        builder.Logging.ClearProviders();
        var app = builder.Build();
        var host = new TestHost(app);
        app.Services.GetRequiredService<ILoggerFactory>().AddProvider(new Recorder(host.Log));
        app.MapLocalFunctions();
        await app.StartAsync();
        return host;
    }

    /// <summary>Starts an orchestration and waits for its end.</summary>
    public async Task<OrchestrationMetadata> RunAsync(string orchestrator, object? input = null)
    {
        var id = await Client.ScheduleNewOrchestrationInstanceAsync(orchestrator, input, CancellationToken.None);
        return await FinishAsync(id);
    }

    public Task<OrchestrationMetadata> FinishAsync(string id) =>
        Client.WaitForInstanceCompletionAsync(id, getInputsAndOutputs: true).WaitAsync(TimeSpan.FromSeconds(20));

    /// <summary>Waits until the host stops by itself, and throws what made it stop.</summary>
    public async Task WaitForShutdownAsync()
    {
        await _app.WaitForShutdownAsync().WaitAsync(TimeSpan.FromSeconds(20));
        await _app.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    private sealed class Recorder(ConcurrentQueue<string> log) : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            log.Enqueue($"{logLevel}: {formatter(state, exception)}");

        public void Dispose()
        {
        }
    }
}
