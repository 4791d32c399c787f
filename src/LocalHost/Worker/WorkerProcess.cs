using System.Diagnostics;
using Microsoft.Extensions.Logging;

namespace RlhfFunctions.LocalHost.Worker;

/// <summary>The app's process: started as the Functions host starts it, and on a leash (<see cref="StartupHook"/>).</summary>
internal sealed class WorkerProcess : IDisposable
{
    private const int LinesKept = 12;

    private readonly Process _process;
    private readonly Queue<string> _lastLines = new();
    private readonly ILogger _log;

    private WorkerProcess(ProcessStartInfo start, ILogger log)
    {
        _log = log;
        _process = new Process { StartInfo = start, EnableRaisingEvents = true };
        _process.OutputDataReceived += (_, line) => Keep(line.Data);
        _process.ErrorDataReceived += (_, line) => Keep(line.Data);
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <param name="app">What to run.</param>
    /// <param name="workerId">By which the worker introduces itself.</param>
    /// <param name="host">Where the host listens.</param>
    /// <param name="settings">The app's settings, as environment variables.</param>
    /// <param name="log">Gets what the worker prints.</param>
    public static WorkerProcess Start(AppFolder app, string workerId, Uri host, IReadOnlyDictionary<string, string> settings, ILogger log)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            WorkingDirectory = app.Path,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            ArgumentList =
            {
                app.Assembly,
                "--functions-uri", host.ToString(),
                "--functions-worker-id", workerId,
                "--functions-request-id", workerId,
                "--functions-grpc-max-message-length", $"{int.MaxValue}",
            },
        };
        foreach (var (name, value) in settings) start.Environment[name] = value;
        start.Environment["FUNCTIONS_APPLICATION_DIRECTORY"] = app.Path;
        string? otherHooks = start.Environment.TryGetValue("DOTNET_STARTUP_HOOKS", out string? hooks) ? Path.PathSeparator + hooks : null;
        start.Environment["DOTNET_STARTUP_HOOKS"] = typeof(StartupHook).Assembly.Location + otherHooks;
        return new WorkerProcess(start, log);
    }

    /// <summary>Waits for the end; the answer says how it ended, with the last lines the process printed.</summary>
    public async Task<string> WaitForEndAsync()
    {
        await _process.WaitForExitAsync();
        lock (_lastLines) return $"ended with exit code {_process.ExitCode}" + (_lastLines.Count == 0 ? "." : ": " + string.Join(" | ", _lastLines));
    }

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill();
        _process.Dispose();
    }

    private void Keep(string? line)
    {
        if (string.IsNullOrWhiteSpace(line)) return;
        _log.LogInformation("{Line}", line);
        lock (_lastLines)
        {
            _lastLines.Enqueue(line.Trim());
            if (_lastLines.Count > LinesKept) _lastLines.Dequeue();
        }
    }
}
