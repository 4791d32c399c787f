using System.Diagnostics;
using System.Text;
using System.Text.Json;

namespace RlhfFunctions.LocalHost.Hosting;

/// <summary>The local host as users run it: a process of its own, with its own ports and data folder.</summary>
internal sealed class HostProcess : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _error = new();

    private HostProcess(Process process)
    {
        _process = process;
        process.OutputDataReceived += (_, line) => Append(_output, line.Data);
        process.ErrorDataReceived += (_, line) => Append(_error, line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public string Output => Read(_output);

    public string Error => Read(_error);

    public bool HasExited => _process.HasExited;

    public static HostProcess Start(
        IReadOnlyList<string> arguments, string? path = null, IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath is { } dotnet && Path.GetFileNameWithoutExtension(dotnet) == "dotnet" ? dotnet : "dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Path.GetTempPath(),
        };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "RlhfFunctions.LocalHost.dll"));
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        if (path is not null) start.Environment["PATH"] = path;
        foreach (var (name, value) in environment ?? new Dictionary<string, string>()) start.Environment[name] = value;
        return new HostProcess(Process.Start(start)!);
    }

    /// <summary>Another program, watched in the same way.</summary>
    public static HostProcess Run(string program, params string[] arguments)
    {
        return new HostProcess(Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!);
    }

    /// <summary>kill -9.</summary>
    public void Kill()
    {
        _process.Kill(entireProcessTree: false);
        _process.WaitForExit();
    }

    /// <summary>kill -9 for the worker.</summary>
    public void KillWorker()
    {
        using var worker = Process.GetProcessById(WorkerId);
        worker.Kill();
        worker.WaitForExit();
    }

    /// <summary>What Ctrl-C and a service manager's stop come down to.</summary>
    public void Terminate()
    {
        Signal(_process.Id, "-TERM");
    }

    private static void Signal(int processId, string signal)
    {
        using var kill = Process.Start("kill", [signal, $"{processId}"]);
        kill.WaitForExit();
    }

    public async Task<int> WaitAsync(TimeSpan timeout)
    {
        using var deadline = new CancellationTokenSource(timeout);
        try
        {
            await _process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"The host did not end in {timeout}. Output:\n{Output}\nError:\n{Error}");
        }

        return _process.ExitCode;
    }

    /// <summary>The id of the worker process that the host has started.</summary>
    public int WorkerId
    {
        get
        {
            for (var deadline = DateTime.UtcNow.AddSeconds(60); ; Thread.Sleep(20))
            {
                var worker = Process.GetProcessesByName("dotnet").FirstOrDefault(process => IsWorkerOf(process.Id, _process.Id));
                if (worker is not null) return worker.Id;
                if (DateTime.UtcNow > deadline) throw new TimeoutException($"The host has no worker. Error:\n{Error}");
            }
        }
    }

    public static bool IsRunning(int processId)
    {
        return Directory.Exists($"/proc/{processId}") && !Proc(processId, "stat").Contains(") Z ", StringComparison.Ordinal);
    }

    private static bool IsWorkerOf(int processId, int host)
    {
        return Proc(processId, "cmdline").Contains("--functions-worker-id", StringComparison.Ordinal)
            && Proc(processId, "stat").Split(") ")[^1].Split(' ')[1] == $"{host}";
    }

    private static string Proc(int processId, string file)
    {
        try
        {
            return File.ReadAllText($"/proc/{processId}/{file}");
        }
        catch (IOException)
        {
            return ") Z 0 "; // it has ended in between
        }
    }

    /// <summary>kill -9 or SIGTERM for the Azurite that a host left in its data folder.</summary>
    public static void EndAzurite(string dataFolder, bool kill)
    {
        string file = Path.Combine(dataFolder, "azurite.pid");
        if (!File.Exists(file)) return;
        using var pid = JsonDocument.Parse(File.ReadAllText(file));
        try
        {
            using var azurite = Process.GetProcessById(pid.RootElement.GetProperty("Pid").GetInt32());
            if (kill) azurite.Kill();
            else Signal(azurite.Id, "-TERM");
            azurite.WaitForExit();
        }
        catch (ArgumentException)
        {
            // it has ended already
        }
    }

    public void Dispose()
    {
        if (!_process.HasExited) Kill();
        _process.Dispose();
    }

    private static void Append(StringBuilder text, string? line)
    {
        lock (text) text.AppendLine(line);
    }

    private static string Read(StringBuilder text)
    {
        lock (text) return text.ToString();
    }
}
