using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.Extensions.Configuration;

namespace RlhfFunctions.LocalHost.Hosting;

/// <summary>
/// Azurite, Azure Storage on this machine: installed by npm when it is missing, started unless one answers already, and stopped at
/// the end if it was started here.
/// </summary>
public sealed class Azurite : IAsyncDisposable
{
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(10);

    // Azurite must outlive this process's Ctrl-C, which a terminal sends to the whole process group, and the process
    // itself when it is killed: so Node starts it detached and prints its id.
    private const string DetachedStart =
        "const fs=require('fs'),[log,...args]=process.argv.slice(1),out=fs.openSync(log,'a');"
        + "const child=require('child_process').spawn(process.execPath,args,{detached:true,stdio:['ignore',out,out],windowsHide:true});"
        + "child.unref();console.log(child.pid);";

    private static readonly string[] Services = ["Blob", "Queue", "Table"];

    private readonly string _pidFile;
    private readonly string _log;
    private readonly int? _ownedProcess;

    private Azurite(int port, string pidFile, string log, int? ownedProcess, bool wasLeft)
    {
        Port = port;
        _pidFile = pidFile;
        _log = log;
        _ownedProcess = ownedProcess;
        WasLeft = wasLeft;
    }

    /// <summary>The port of the blob service; the queue service has the next one, the table service the one after that.</summary>
    public int Port { get; }

    /// <summary>
    /// True when the host before this one was killed, or Azurite itself was: it saves every few seconds, so that a killed one has
    /// forgotten some of what it had acknowledged.
    /// </summary>
    public bool WasLeft { get; }

    /// <summary>True when this object stops Azurite at the end; false when somebody else's is used.</summary>
    public bool IsOwned => _ownedProcess is not null;

    /// <summary>The emulator's account and key are fixed and public, part of its documentation.</summary>
    public string ConnectionString =>
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
        + "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
        + $"BlobEndpoint=http://127.0.0.1:{Port}/devstoreaccount1;QueueEndpoint=http://127.0.0.1:{Port + 1}/devstoreaccount1;"
        + $"TableEndpoint=http://127.0.0.1:{Port + 2}/devstoreaccount1;";

    /// <summary>Whether the settings name no storage account but this emulator.</summary>
    public static bool IsAskedFor(IConfiguration settings)
    {
        const string Storage = "AzureWebJobsStorage";
        return settings[Storage] is { Length: > 0 } connection
            ? connection.StartsWith("UseDevelopmentStorage", StringComparison.OrdinalIgnoreCase)
            : !settings.GetSection(Storage).GetChildren().Any();
    }

    /// <param name="repositoryRoot">Where package.json and package-lock.json name the Azurite to install.</param>
    /// <param name="dataFolder">Where Azurite keeps its data, its log, and the id of its process.</param>
    /// <param name="port">The first of three ports on 127.0.0.1: blobs, queues, tables.</param>
    /// <param name="say">Told in a sentence what takes time.</param>
    /// <param name="cancellation">Gives up the start.</param>
    /// <exception cref="UserErrorException">Node or npm is missing, or the port belongs to something else.</exception>
    public static async Task<Azurite> StartAsync(
        string repositoryRoot, string dataFolder, int port, Action<string> say, CancellationToken cancellation)
    {
        dataFolder = Path.GetFullPath(dataFolder);
        var pidFile = Path.Combine(dataFolder, "azurite.pid");
        var log = Path.Combine(dataFolder, "azurite.log");
        bool wasLeft = FindLeft(pidFile, port) is not null;
        string?[] answering = await Task.WhenAll(Services.Select((_, i) => AskWhoAnswersAsync(port + i, cancellation)));
        for (int i = 0; i < Services.Length; i++)
        {
            if (answering[i] is { } other && !other.StartsWith($"Azurite-{Services[i]}/", StringComparison.Ordinal))
            {
                throw new UserErrorException($"Port {port + i} on 127.0.0.1 is taken by something that is not Azurite's {Services[i]} service ({other}). "
                    + "Stop it, or choose another port.");
            }
        }

        if (Array.TrueForAll(answering, name => name is not null)) return new(port, pidFile, log, Adopt(pidFile, port), wasLeft);
        if (Array.Exists(answering, name => name is not null))
        {
            throw new UserErrorException($"An Azurite on port {port} serves only some of blobs, queues and tables (ports {port} to {port + 2}), and all are needed. "
                + "Stop it, or choose another port.");
        }

        await CheckNodeAsync(cancellation);
        var script = Path.Combine(repositoryRoot, "node_modules", "azurite", "dist", "src", "azurite.js");
        if (!File.Exists(script))
            await InstallAsync(repositoryRoot, say, cancellation);
        Directory.CreateDirectory(dataFolder);
        var (exitCode, output) = await RunAsync("node", repositoryRoot,
            ["-e", DetachedStart, log, script, "--blobHost", "127.0.0.1", "--blobPort", $"{port}", "--queueHost", "127.0.0.1",
                "--queuePort", $"{port + 1}", "--tableHost", "127.0.0.1", "--tablePort", $"{port + 2}", "--location", dataFolder,
                "--skipApiVersionCheck", "--silent", "--disableTelemetry"], cancellation);
        if (exitCode != 0)
            throw new UserErrorException($"Azurite could not be started: {output.Trim()}");
        var process = int.Parse(output.Trim(), CultureInfo.InvariantCulture);
        await File.WriteAllTextAsync(pidFile, JsonSerializer.Serialize(new PidFile(process, port, Environment.ProcessId)), cancellation);

        var azurite = new Azurite(port, pidFile, log, process, wasLeft);
        var watch = Stopwatch.StartNew();
        while (await AskWhoAnswersAsync(port + 2, cancellation) is null) // tables come last
        {
            if (IsRunning(process) && watch.Elapsed < StartTimeout)
            {
                await Task.Delay(50, cancellation);
                continue;
            }
            await azurite.DisposeAsync();
            throw new UserErrorException($"Azurite did not start on port {port}. Its log, {log}, may tell why.");
        }
        return azurite;
    }

    /// <summary>
    /// Asks Azurite to end, so that it saves what it still has in memory, and waits until its services say that they have. Its process
    /// would go on for as long as a client holds a connection, and those that this process has pooled are held to its end.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (_ownedProcess is not { } process)
            return;
        if (IsRunning(process) && !OperatingSystem.IsWindows()) // which has no signals; what Azurite last saved is at most seconds old
        {
            long said = new FileInfo(_log) is { Exists: true } log ? log.Length : 0;
            _ = Kill(process, SigTerm);
            for (var watch = Stopwatch.StartNew(); IsRunning(process) && !HasSaved(said) && watch.Elapsed < StopTimeout;)
                await Task.Delay(50);
        }
        End(process);
        while (IsRunning(process)) await Task.Delay(20);
        File.Delete(_pidFile);
    }

    /// <summary>Waits until the Azurite that was started here has ended, however that came about; one of somebody else's is waited for in vain.</summary>
    public async Task WaitForEndAsync(CancellationToken cancellation)
    {
        while (_ownedProcess is not { } process || IsRunning(process)) await Task.Delay(250, cancellation);
    }

    /// <summary>Null when nothing listens; otherwise the name that the listener gives itself.</summary>
    private static async Task<string?> AskWhoAnswersAsync(int port, CancellationToken cancellation)
    {
        using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(5) };
        try
        {
            using var answer = await http.GetAsync(new Uri($"http://127.0.0.1:{port}/"), cancellation);
            return answer.Headers.TryGetValues("Server", out var names) ? string.Join(' ', names) : "a nameless HTTP server";
        }
        catch (HttpRequestException refused) when (refused.InnerException is SocketException)
        {
            return null;
        }
        catch (Exception mute) when (mute is HttpRequestException or TaskCanceledException && !cancellation.IsCancellationRequested)
        {
            return "it does not speak HTTP";
        }
    }

    private static async Task CheckNodeAsync(CancellationToken cancellation)
    {
        const string Remedy = "Azurite needs Node.js 18 or newer: install it from https://nodejs.org/ and try again.";
        var (exitCode, version) = await RunAsync("node", ".", ["--version"], cancellation);
        if (exitCode is null)
            throw new UserErrorException($"Node.js was not found. {Remedy}");
        if (!int.TryParse(version.TrimStart('v').Split('.')[0], CultureInfo.InvariantCulture, out var major) || major < 18)
            throw new UserErrorException($"Node.js is too old ({version.Trim()}). {Remedy}");
    }

    private static async Task InstallAsync(string repositoryRoot, Action<string> say, CancellationToken cancellation)
    {
        say("Installing Azurite, the storage emulator (npm ci, once) …");
        var (exitCode, output) = OperatingSystem.IsWindows()
            ? await RunAsync("cmd", repositoryRoot, ["/c", "npm", "ci", "--no-audit", "--no-fund"], cancellation)
            : await RunAsync("npm", repositoryRoot, ["ci", "--no-audit", "--no-fund"], cancellation);
        if (exitCode is null)
            throw new UserErrorException("npm was not found. It comes with Node.js: install that from https://nodejs.org/ and try again.");
        if (exitCode != 0)
            throw new UserErrorException(
                $"'npm ci' in {repositoryRoot} failed with exit code {exitCode}, so there is no Azurite. Its last words:\n"
                + string.Join('\n', output.TrimEnd().Split('\n').TakeLast(8)));
    }

    /// <summary>The exit code is null when there is no such program.</summary>
    private static async Task<(int? ExitCode, string Output)> RunAsync(
        string program, string folder, IEnumerable<string> arguments, CancellationToken cancellation)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments)
            {
                WorkingDirectory = folder,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            var texts = await Task.WhenAll(
                process.StandardOutput.ReadToEndAsync(cancellation), process.StandardError.ReadToEndAsync(cancellation));
            await process.WaitForExitAsync(cancellation);
            return (process.ExitCode, string.Concat(texts));
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return (null, "");
        }
    }

    /// <summary>The process that a killed host left behind here; null: it is somebody else's, or that of a host that is alive.</summary>
    private static int? Adopt(string pidFile, int port)
    {
        if (FindLeft(pidFile, port) is not { } left || !IsRunning(left.Pid)) return null;
        File.WriteAllText(pidFile, JsonSerializer.Serialize(left with { Host = Environment.ProcessId }));
        return left.Pid;
    }

    /// <summary>What an earlier host wrote here and did not take away at its end, unless that host is alive.</summary>
    private static PidFile? FindLeft(string pidFile, int port)
    {
        try
        {
            var left = JsonSerializer.Deserialize<PidFile>(File.ReadAllText(pidFile));
            return left is null || left.Port != port || (left.Host != Environment.ProcessId && IsRunning(left.Host, name: "")) ? null : left;
        }
        catch (Exception unknown) when (unknown is IOException or JsonException)
        {
            return null;
        }
    }

    private static bool IsRunning(int processId, string name = "node")
    {
        try
        {
            // A dead process that nobody has reaped yet still has an entry.
            using var process = Process.GetProcessById(processId);
            var isZombie = OperatingSystem.IsLinux()
                && File.ReadAllText($"/proc/{processId}/stat").Contains(") Z ", StringComparison.Ordinal);
            return !process.HasExited && !isZombie && process.ProcessName.Contains(name, StringComparison.OrdinalIgnoreCase);
        }
        catch (Exception gone) when (gone is ArgumentException or InvalidOperationException or IOException)
        {
            return false;
        }
    }

    private static void End(int processId)
    {
        try
        {
            using var process = Process.GetProcessById(processId);
            process.Kill();
        }
        catch (Exception gone) when (gone is ArgumentException or InvalidOperationException)
        {
            // it has ended by itself meanwhile
        }
    }

    /// <summary>Whether all services have told the log, since it was this long, that they are closed.</summary>
    private bool HasSaved(long said)
    {
        using var log = new FileStream(_log, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        log.Position = said;
        string since = new StreamReader(log).ReadToEnd();
        return Services.All(service => since.Contains($"Azurite {service} service successfully closed", StringComparison.Ordinal));
    }

    private const int SigTerm = 15;

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Kill(int processId, int signal);

    /// <param name="Pid">Azurite's process.</param>
    /// <param name="Port">Its port.</param>
    /// <param name="Host">The process that will stop it.</param>
    private sealed record PidFile(int Pid, int Port, int Host);
}
