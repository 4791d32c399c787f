using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;
using RlhfFunctions.LocalHost.Worker;

namespace RlhfFunctions.LocalHost.Hosting;

/// <summary>One line an event, on standard error; the engine's chatter only on demand.</summary>
/// <param name="isVerbose">Whole exceptions, too.</param>
internal sealed class HostLog(bool isVerbose) : ConsoleFormatter(FormatterName)
{
    public const string FormatterName = "line";

    public override void Write<TState>(in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
    {
        if (!isVerbose && logEntry.Exception?.GetBaseException() is OperationCanceledException) return; // the host stops, and so does the work
        string category = logEntry.Category[(logEntry.Category.LastIndexOf('.') + 1)..];
        // The SDK also logs results, for dashboards: these have no text.
        if (logEntry.Formatter(logEntry.State, logEntry.Exception)?.ReplaceLineEndings(" | ") is not { } message) return;
        // The SDK wraps what a function threw; the innermost says it.
        string exception = logEntry.Exception?.GetBaseException() switch
        {
            null => "",
            WorkerFunctionException thrown => $" ({thrown.Reason})",
            var thrown => $" ({thrown.Message.Split('\n')[0]})",
        };
        if (isVerbose && logEntry.Exception is not null) exception = Environment.NewLine + logEntry.Exception;
        textWriter.WriteLine($"{DateTime.Now:HH:mm:ss} {logEntry.LogLevel.ToString().ToLowerInvariant()} {category}: {message}{exception}");
    }
}

internal static class HostLogging
{
    public static ILoggingBuilder AddHostLog(this ILoggingBuilder logging, bool isVerbose)
    {
        logging.ClearProviders();
        logging.Services.AddSingleton<ConsoleFormatter>(new HostLog(isVerbose));
        logging.AddConsole(console =>
        {
            console.FormatterName = HostLog.FormatterName;
            console.LogToStandardErrorThreshold = LogLevel.Trace;
        });
        // A line for each request to storage would drown all others; what fails there is reported by whoever asked.
        logging.AddFilter("Azure", LogLevel.Critical);
        logging.SetMinimumLevel(isVerbose ? LogLevel.Information : LogLevel.Warning);
        if (isVerbose) return logging;
        // A function that fails is reported by the SDK; worker and engine report it too, at greater length.
        foreach (string engine in new[] { "DurableTask", "Host.Triggers.DurableTask", "Worker.Microsoft", "Yarp" }) logging.AddFilter(engine, LogLevel.Critical);
        return logging.AddFilter((category, level) => level >= LogLevel.Warning && category?.EndsWith(".User", StringComparison.Ordinal) != true);
    }
}
