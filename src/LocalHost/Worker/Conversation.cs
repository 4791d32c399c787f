using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Threading.Channels;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace RlhfFunctions.LocalHost.Worker;

/// <summary>What is said to one worker process, and what it answers.</summary>
/// <param name="id">By which the process introduces itself.</param>
/// <param name="logs">Get what the worker logs and prints, under its own categories.</param>
internal sealed class Conversation(string id, ILoggerFactory logs) : IDisposable
{
    private readonly Channel<StreamingMessage> _toWorker = Channel.CreateUnbounded<StreamingMessage>();
    private readonly ConcurrentDictionary<string, TaskCompletionSource<StreamingMessage>> _answers = new();

    private WorkerProcess? _process;

    public string Id => id;

    /// <summary>Completes when the process ends; says how.</summary>
    public Task<string> Ended { get; private set; } = Task.FromResult("was not started.");

    /// <summary>The functions by name, once <see cref="StartAsync"/> is done.</summary>
    public IReadOnlyDictionary<string, RpcFunctionMetadata> Functions { get; private set; } = new Dictionary<string, RpcFunctionMetadata>();

    /// <summary>Where the worker serves HTTP, once <see cref="StartAsync"/> is done.</summary>
    public Uri HttpAddress { get; private set; } = null!;

    /// <summary>Starts the process and talks to it until its functions are loaded.</summary>
    /// <param name="app">What to run.</param>
    /// <param name="host">Where <see cref="WorkerService"/> is served.</param>
    /// <param name="settings">The app's settings.</param>
    /// <exception cref="WorkerFunctionException">The worker says that it cannot start.</exception>
    /// <exception cref="WorkerProcessExitException">It ended.</exception>
    public async Task StartAsync(AppFolder app, Uri host, IReadOnlyDictionary<string, string> settings)
    {
        _process = WorkerProcess.Start(app, id, host, settings, logs.CreateLogger("Worker"));
        Ended = _process.WaitForEndAsync();
        await AnswerAsync(nameof(StreamingMessage.StartStream));
        Send(new StreamingMessage { WorkerInitRequest = new WorkerInitRequest { HostVersion = "4.0.0", FunctionAppDirectory = app.Path } });
        var init = (await AnswerAsync(nameof(StreamingMessage.WorkerInitResponse))).WorkerInitResponse;
        ThrowOnFailure(init.Result);
        HttpAddress = new Uri(init.Capabilities["HttpUri"]);

        Send(new StreamingMessage { FunctionsMetadataRequest = new FunctionsMetadataRequest { FunctionAppDirectory = app.Path } });
        var metadata = (await AnswerAsync(nameof(StreamingMessage.FunctionMetadataResponse))).FunctionMetadataResponse;
        ThrowOnFailure(metadata.Result);
        foreach (var function in metadata.FunctionMetadataResults)
        {
            Send(new StreamingMessage { FunctionLoadRequest = new FunctionLoadRequest { FunctionId = function.FunctionId, Metadata = function } });
            ThrowOnFailure((await AnswerAsync(function.FunctionId)).FunctionLoadResponse.Result);
        }

        Functions = metadata.FunctionMetadataResults.ToDictionary(function => function.Name);
        await WaitForHttpAsync();
    }

    public void Send(StreamingMessage message)
    {
        _toWorker.Writer.TryWrite(message);
    }

    /// <summary>Waits for the message that answers a question.</summary>
    /// <param name="question">The id of an invocation or of a function to load, or the kind of a message that comes once.</param>
    /// <exception cref="WorkerProcessExitException">The process ended first.</exception>
    public async Task<StreamingMessage> AnswerAsync(string question)
    {
        var answer = AnswerTo(question).Task;
        bool isAnswered = await Task.WhenAny(answer, Ended) == answer;
        _answers.TryRemove(question, out _);
        return isAnswered ? await answer : throw new WorkerProcessExitException();
    }

    /// <summary>Carries messages both ways until the worker hangs up.</summary>
    public async Task CarryAsync(IAsyncStreamReader<StreamingMessage> fromWorker, IServerStreamWriter<StreamingMessage> toWorker, CancellationToken hungUp)
    {
        var sending = SendAllAsync();
        while (await fromWorker.MoveNext(hungUp)) Receive(fromWorker.Current);
        await sending;

        async Task SendAllAsync()
        {
            await foreach (var message in _toWorker.Reader.ReadAllAsync(hungUp)) await toWorker.WriteAsync(message, hungUp);
        }
    }

    public void Receive(StreamingMessage message)
    {
        if (message.ContentCase == StreamingMessage.ContentOneofCase.RpcLog) Log(message.RpcLog);
        else AnswerTo(QuestionOf(message)).TrySetResult(message);
    }

    public void Dispose()
    {
        _toWorker.Writer.TryComplete();
        _process?.Dispose();
    }

    /// <summary>The worker names its HTTP address before it listens there.</summary>
    private async Task WaitForHttpAsync()
    {
        while (!Ended.IsCompleted)
        {
            using var client = new TcpClient();
            try
            {
                await client.ConnectAsync(HttpAddress.Host, HttpAddress.Port);
                return;
            }
            catch (SocketException)
            {
                await Task.Delay(50);
            }
        }

        throw new WorkerProcessExitException();
    }

    private static string QuestionOf(StreamingMessage message)
    {
        return message.ContentCase switch
        {
            StreamingMessage.ContentOneofCase.InvocationResponse => message.InvocationResponse.InvocationId,
            StreamingMessage.ContentOneofCase.FunctionLoadResponse => message.FunctionLoadResponse.FunctionId,
            var once => once.ToString(),
        };
    }

    private static void ThrowOnFailure(StatusResult result)
    {
        if (result.Status != StatusResult.Types.Status.Success) throw new WorkerFunctionException(result.Exception);
    }

    private TaskCompletionSource<StreamingMessage> AnswerTo(string question)
    {
        return _answers.GetOrAdd(question, _ => new TaskCompletionSource<StreamingMessage>(TaskCreationOptions.RunContinuationsAsynchronously));
    }

    private void Log(RpcLog entry)
    {
        string exception = entry.Exception is { Message.Length: > 0 } thrown ? $" {thrown.Message.Split('\n')[0]}" : "";
        logs.CreateLogger($"Worker.{entry.Category}").Log((LogLevel)entry.Level, "{Message}{Exception}", entry.Message, exception);
    }
}

/// <summary>Where workers call; each is led to the conversation that waits for it.</summary>
internal sealed class WorkerService(ConcurrentDictionary<string, Conversation> conversations) : FunctionRpc.FunctionRpcBase
{
    public override async Task EventStream(
        IAsyncStreamReader<StreamingMessage> requestStream, IServerStreamWriter<StreamingMessage> responseStream, ServerCallContext context)
    {
        try
        {
            if (!await requestStream.MoveNext(context.CancellationToken)) return;
            if (!conversations.TryGetValue(requestStream.Current.StartStream?.WorkerId ?? "", out var conversation))
                throw new Grpc.Core.RpcException(new Status(StatusCode.PermissionDenied, "No such worker was started here."));
            conversation.Receive(requestStream.Current);
            await conversation.CarryAsync(requestStream, responseStream, context.CancellationToken);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // The worker is gone; whoever waits for its answers learns it from the end of its process.
        }
    }
}
