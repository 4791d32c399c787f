using System.Collections.Concurrent;
using System.ComponentModel;
using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.LocalHost.Worker;

/// <summary>A function as the worker describes it; each binding is a JSON object as it would stand in function.json.</summary>
internal sealed record WorkerFunction(string Name, IReadOnlyList<JsonElement> Bindings)
{
    /// <summary>The binding of a type, such as httpTrigger, or null.</summary>
    public JsonElement? Find(string type)
    {
        return Bindings.Cast<JsonElement?>().FirstOrDefault(binding => binding!.Value.GetProperty("type").GetString() == type);
    }

    public bool Has(string type)
    {
        return Find(type) is not null;
    }
}

/// <summary>
/// The worker and the conversation with it, by the contract of <c>worker.proto</c>: it is started, introduces itself, names its
/// functions, and is asked to run them. A worker that ends is started again, at ever longer intervals when that keeps happening.
/// </summary>
internal sealed class FunctionsWorker : IAsyncDisposable
{
    private static readonly TimeSpan StartTimeout = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(2); // its work was cancelled before, and may be killed at any time
    private static readonly TimeSpan ShortestPause = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LongEnoughToBeWell = TimeSpan.FromMinutes(1);

    private readonly AppFolder _app;
    private readonly IReadOnlyDictionary<string, string> _settings;
    private readonly ILoggerFactory _logs;
    private readonly ILogger _log;
    private readonly WebApplication _server;
    private readonly ConcurrentDictionary<string, Conversation> _conversations = new();
    private readonly CancellationTokenSource _stop = new();
    private volatile TaskCompletionSource<Conversation> _current = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _keptRunning = Task.CompletedTask;

    private FunctionsWorker(AppFolder app, IReadOnlyDictionary<string, string> settings, ILoggerFactory logs)
    {
        _app = app;
        _settings = settings;
        _logs = logs;
        _log = logs.CreateLogger("Worker");
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        builder.Services.AddGrpc(grpc => grpc.MaxReceiveMessageSize = grpc.MaxSendMessageSize = null);
        builder.Services.AddSingleton(_conversations);
        _server = builder.Build();
        _server.MapGrpcService<WorkerService>();
    }

    /// <summary>The app's functions by name; the same for every process that runs it.</summary>
    public IReadOnlyDictionary<string, WorkerFunction> Functions { get; private set; } = new Dictionary<string, WorkerFunction>();

    /// <exception cref="UserErrorException">The worker does not start; the message has its last lines.</exception>
    public static async Task<FunctionsWorker> StartAsync(
        AppFolder app, IReadOnlyDictionary<string, string> settings, ILoggerFactory logs, CancellationToken cancellation)
    {
        var worker = new FunctionsWorker(app, settings, logs);
        try
        {
            await worker._server.StartAsync(cancellation);
            var first = await worker.BeginAsync(cancellation);
            worker.Functions = first.Functions.Values.ToDictionary(function => function.Name, function => new WorkerFunction(
                function.Name, [.. function.RawBindings.Select(binding => JsonDocument.Parse(binding).RootElement)]));
            worker._current.SetResult(first);
            worker._keptRunning = worker.KeepRunningAsync(first);
            return worker;
        }
        catch
        {
            await worker.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs a function, as soon as there is a worker to run it.</summary>
    /// <param name="function">Its name.</param>
    /// <param name="inputs">The values of its bindings.</param>
    /// <param name="triggerMetadata">What the trigger knows beside: the parts of a blob's path, of an address.</param>
    /// <param name="alongside">Given the invocation's id and the worker's own HTTP address: what must happen meanwhile.</param>
    /// <param name="cancellation">Asks the function to stop.</param>
    /// <exception cref="WorkerFunctionException">The function failed.</exception>
    /// <exception cref="WorkerProcessExitException">The process ended before the function did.</exception>
    public async Task<TypedData?> InvokeAsync(
        string function,
        IEnumerable<ParameterBinding> inputs,
        IReadOnlyDictionary<string, string> triggerMetadata,
        Func<string, Uri, Task>? alongside,
        CancellationToken cancellation)
    {
        var conversation = await _current.Task.WaitAsync(cancellation);
        string id = Guid.NewGuid().ToString();
        var request = new InvocationRequest
        {
            InvocationId = id,
            FunctionId = conversation.Functions[function].FunctionId,
            TraceContext = new RpcTraceContext { TraceParent = Activity.Current?.Id ?? "", TraceState = Activity.Current?.TraceStateString ?? "" },
            InputData = { inputs },
        };
        foreach (var (name, value) in triggerMetadata) request.TriggerMetadata[name] = new TypedData { String = value };

        var answer = conversation.AnswerAsync(id);
        conversation.Send(new StreamingMessage { InvocationRequest = request });
        await using var cancelled = cancellation.Register(
            () => conversation.Send(new StreamingMessage { InvocationCancel = new InvocationCancel { InvocationId = id } }));
        if (alongside is not null) await alongside(id, conversation.HttpAddress);
        var response = (await answer).InvocationResponse;
        return response.Result.Status switch
        {
            StatusResult.Types.Status.Success => response.ReturnValue,
            StatusResult.Types.Status.Cancelled => throw new OperationCanceledException(cancellation),
            _ => throw new WorkerFunctionException(response.Result.Exception),
        };
    }

    /// <summary>From now on a worker that ends is not started again: Ctrl-C reaches it at the same time as the host.</summary>
    public void LetEnd()
    {
        _stop.Cancel();
    }

    public async ValueTask DisposeAsync()
    {
        LetEnd();
        if (_current.Task is { IsCompletedSuccessfully: true, Result: var conversation })
        {
            conversation.Send(new StreamingMessage { WorkerTerminate = new WorkerTerminate() });
            await Task.WhenAny(conversation.Ended, Task.Delay(StopTimeout));
            Forget(conversation);
        }

        await _keptRunning;
        await _server.DisposeAsync();
        _stop.Dispose();
    }

    /// <summary>Starts a process and talks to it until its functions are loaded.</summary>
    private async Task<Conversation> BeginAsync(CancellationToken cancellation)
    {
        var conversation = new Conversation(Guid.NewGuid().ToString("n"), _logs);
        _conversations[conversation.Id] = conversation;
        try
        {
            await conversation.StartAsync(_app, new Uri(_server.Urls.Single()), _settings).WaitAsync(StartTimeout, cancellation);
            return conversation;
        }
        catch (Exception e)
        {
            string? why = e switch
            {
                WorkerProcessExitException => "its process " + await conversation.Ended,
                WorkerFunctionException => e.Message.ReplaceLineEndings(" | "),
                TimeoutException => $"it was not ready after {StartTimeout.TotalMinutes} minutes.",
                Win32Exception => $"dotnet cannot be run: {e.Message}",
                _ => null,
            };
            Forget(conversation);
            if (why is null) throw;
            throw new UserErrorException($"The app in {_app.Path} did not start: {why}", e);
        }
    }

    private void Forget(Conversation conversation)
    {
        _conversations.TryRemove(conversation.Id, out _);
        conversation.Dispose();
    }

    private async Task KeepRunningAsync(Conversation conversation)
    {
        var pause = ShortestPause;
        while (true)
        {
            long startedAt = Stopwatch.GetTimestamp();
            string how = await conversation.Ended;
            if (_stop.IsCancellationRequested) return;
            _current = new(TaskCreationOptions.RunContinuationsAsynchronously);
            Forget(conversation);
            if (Stopwatch.GetElapsedTime(startedAt) > LongEnoughToBeWell) pause = ShortestPause;
            do
            {
                try
                {
                    await Task.Delay(pause, _stop.Token);
                    _log.LogWarning("The worker process {How} It is started again, and its work with it.", how);
                    pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
                    conversation = await BeginAsync(_stop.Token);
                    _current.SetResult(conversation);
                }
                catch (UserErrorException e)
                {
                    _log.LogError("{Message} It is tried again in {Pause} s.", e.Message, pause.TotalSeconds);
                }
                catch (OperationCanceledException)
                {
                    return;
                }
            }
            while (!_current.Task.IsCompleted);
        }
    }
}
