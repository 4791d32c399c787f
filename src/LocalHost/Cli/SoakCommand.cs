using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using RlhfFunctions.Contracts;
using RlhfFunctions.LocalHost.Hosting;
using Spectre.Console;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>What the soak command was asked for.</summary>
/// <param name="Host">How to host the functions; what is made lies in a folder of its own below the data folder, which is emptied first.</param>
/// <param name="RequestFile">The run that is started again and again.</param>
/// <param name="Kills">How many processes are killed in all.</param>
/// <param name="Seed">Of the draws of who is killed, and when.</param>
internal sealed record SoakOptions(HostOptions Host, string RequestFile, int Kills, int Seed);

/// <summary>
/// Whether it is true that nothing is lost: one run is left alone; others of the same request are started one after another while
/// the host, its worker and Azurite are killed (kill -9) again and again. Each must end in the first one's bytes.
/// </summary>
internal sealed class SoakCommand : IDisposable
{
    /// <summary>Beyond this a run that does not get on is said to hang. The engine asks for what was lost with a worker after five minutes at most.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(6);

    /// <summary>Kills fall within this after a run got on, which is longer than any of its activities takes.</summary>
    private static readonly TimeSpan LongestActivity = TimeSpan.FromSeconds(2);

    /// <summary>Where Azurite saves that there is a request, and that the engine has it.</summary>
    private static readonly string[] Books = ["__azurite_db_blob__.json", "__azurite_db_table__.json"];

    private readonly SoakOptions _options;
    private readonly IAnsiConsole _console;
    private readonly string _data;
    private readonly HttpClient _http;
    private HostProcess _host;

    private SoakCommand(SoakOptions options, IAnsiConsole console)
    {
        _options = options;
        _console = console;
        _data = Path.Combine(options.Host.DataFolder, "soak");
        if (Directory.Exists(_data)) Directory.Delete(_data, recursive: true);
        Directory.CreateDirectory(_data);
        _http = new HttpClient { BaseAddress = new Uri($"http://localhost:{options.Host.Port}") };
        _host = StartHost();
    }

    /// <exception cref="UserErrorException">A run was lost, failed, hung or ended in other bytes; the message says which, and after which kill.</exception>
    public static async Task RunAsync(SoakOptions options, IAnsiConsole console, CancellationToken cancellation)
    {
        if (!OperatingSystem.IsLinux()) throw new UserErrorException("soak finds the processes that it kills in /proc, so it runs on Linux only.");
        using var soak = new SoakCommand(options, console);
        await soak.RunAsync(cancellation);
    }

    public void Dispose()
    {
        _host.Dispose();
        HostProcess.EndAzurite(_data, kill: true);
        _http.Dispose();
    }

    private async Task RunAsync(CancellationToken cancellation)
    {
        var request = await DemoRun.ParseAsync(_options.RequestFile, cancellation);
        await PostAsync(request, "undisturbed", cancellation);
        await WaitUntilAsync("undisturbed", view => view.Status == "Completed", cancellation);
        var undisturbed = await ReadAsync("undisturbed", cancellation);
        _console.WriteLine($"The undisturbed run has {undisturbed.Adapter.Length:N0} bytes of adapter and {undisturbed.Metrics.Length} steps.");

        var draws = new Random(_options.Seed);
        var runs = new List<string>();
        RunView? last = null;
        for (int kill = 1; kill <= _options.Kills; kill++)
        {
            if (last is null or { Status: "Completed" })
            {
                runs.Add($"soak-{runs.Count + 1}");
                await PostAsync(request, runs[^1], cancellation);
                last = null;
            }

            // Every kill has to wait until the run got on since the one before: else none would ever end.
            var seen = last;
            last = await WaitUntilAsync(runs[^1], view => HasGotOn(seen, view), cancellation);
            await Task.Delay(draws.NextDouble() * LongestActivity, cancellation);
            string victim = draws.Next(8) switch { 0 => "Azurite", <= 3 => "host", _ => "worker" }; // after Azurite's death seconds of work are done again
            _console.WriteLine($"{DateTime.Now:T} kill {kill} of {_options.Kills}: {victim}, run {runs[^1]}, {last.Progress?.Phase.ToString() ?? last.Status}, step {last.Progress?.Step}");
            if (victim == "Azurite") await WaitUntilSavedAsync(runs[^1], cancellation);
            Kill(victim);
        }

        foreach (string run in runs)
        {
            await WaitUntilAsync(run, view => view.Status == "Completed", cancellation);
            var end = await ReadAsync(run, cancellation);
            if (!end.Adapter.AsSpan().SequenceEqual(undisturbed.Adapter)) throw new UserErrorException($"Run {run} has learned another adapter than the undisturbed run.");
            if (!end.Metrics.SequenceEqual(undisturbed.Metrics)) throw new UserErrorException($"Run {run} has other metrics than the undisturbed run.");
        }

        _console.WriteLine($"{_options.Kills} kills while {runs.Count} run{(runs.Count == 1 ? "" : "s")} learned, one after another: each ended in the bytes of the undisturbed one.");
    }

    private HostProcess StartHost()
    {
        var host = _options.Host;
        return HostProcess.Start(["start", "--port", $"{host.Port}", "--azurite-port", $"{host.AzuritePort}", "--data", _data, "--app", host.AppFolder]);
    }

    private void Kill(string victim)
    {
        switch (victim)
        {
            case "worker":
                _host.KillWorker();
                return;
            case "host":
                _host.Kill();
                _host.Dispose();
                _host = StartHost();
                return;
            default:
                HostProcess.EndAzurite(_data, kill: true);
                return;
        }
    }

    /// <summary>Whether a run is somewhere else than it was; after Azurite's death that may be behind it.</summary>
    private static bool HasGotOn(RunView? before, RunView now)
    {
        return before is null || now.Status == "Completed" || (now.Progress is { } progress && (progress.Step, progress.Phase) != (before.Progress?.Step, before.Progress?.Phase));
    }

    /// <summary>Posts a run until it is acknowledged; the same run twice is one run.</summary>
    private async Task PostAsync(RunRequest request, string runId, CancellationToken cancellation)
    {
        await TryAsync($"Run {runId} is not accepted", async () =>
        {
            using var answer = await _http.PostAsJsonAsync("/api/runs", request with { RunId = runId }, ContractsJson.Options, cancellation);
            if (answer.StatusCode == HttpStatusCode.ServiceUnavailable) return null;
            return answer.IsSuccessStatusCode ? "accepted" : throw new UserErrorException($"Run {runId} was answered with {answer.StatusCode}: {await answer.Content.ReadAsStringAsync(cancellation)}");
        }, cancellation);
    }

    private async Task<RunView> WaitUntilAsync(string runId, Func<RunView, bool> until, CancellationToken cancellation)
    {
        return await TryAsync($"Run {runId} does not get on", async () =>
        {
            using var answer = await _http.GetAsync(new Uri($"/api/runs/{runId}", UriKind.Relative), cancellation);
            if (answer.StatusCode == HttpStatusCode.ServiceUnavailable) return null;
            if (!answer.IsSuccessStatusCode) throw new UserErrorException($"Run {runId} was answered with {answer.StatusCode}: {await answer.Content.ReadAsStringAsync(cancellation)}");
            var view = (await answer.Content.ReadFromJsonAsync<RunView>(ContractsJson.Options, cancellation))!;
            if (view.Status is "Failed" or "Terminated") throw new UserErrorException($"Run {runId} ended as {view.Status}: {view.Failure}");
            return until(view) ? view : null;
        }, cancellation);
    }

    /// <summary>Each step's metrics in metrics.jsonl, but for those that say how long something took.</summary>
    internal static string[] WithoutTimes(byte[] lines)
    {
        return [.. Encoding.UTF8.GetString(lines).Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => string.Join(", ", JsonNode.Parse(line)!.AsObject().Where(metric => !metric.Key.StartsWith("time/", StringComparison.Ordinal))))];
    }

    /// <summary>The adapter, and each step's metrics but for those that say how long something took.</summary>
    private async Task<(byte[] Adapter, string[] Metrics)> ReadAsync(string runId, CancellationToken cancellation)
    {
        byte[] adapter = await FileAsync(RunFiles.AdapterWeights);
        string[] metrics = WithoutTimes(await FileAsync(RunFiles.Metrics));
        return (adapter, metrics);

        Task<byte[]> FileAsync(string name)
        {
            return TryAsync($"File {name} of run {runId} is not there", async () =>
            {
                using var answer = await _http.GetAsync(new Uri($"/api/runs/{runId}/files/{name}", UriKind.Relative), cancellation);
                return answer.IsSuccessStatusCode ? await answer.Content.ReadAsByteArrayAsync(cancellation) : null;
            }, cancellation);
        }
    }

    /// <summary>Azurite keeps its books in memory and writes them every five seconds; a run that it has acknowledged and not saved would be forgotten whole.</summary>
    private Task WaitUntilSavedAsync(string runId, CancellationToken cancellation)
    {
        return TryAsync($"Azurite has not saved run {runId}", async () =>
        {
            foreach (string book in Books)
            {
                string file = Path.Combine(_data, book);
                if (!File.Exists(file) || !(await File.ReadAllTextAsync(file, cancellation)).Contains(runId, StringComparison.Ordinal)) return null;
            }

            return runId;
        }, cancellation);
    }

    /// <summary>Asks until there is an answer; while the app starts again there is none.</summary>
    private async Task<T> TryAsync<T>(string otherwise, Func<Task<T?>> ask, CancellationToken cancellation)
        where T : class
    {
        for (var deadline = DateTime.UtcNow + Patience; DateTime.UtcNow < deadline; await Task.Delay(100, cancellation))
        {
            try
            {
                if (await ask() is { } answer) return answer;
            }
            catch (HttpRequestException)
            {
                if (_host.HasExited) throw new UserErrorException($"The host ended by itself:\n{_host.Error}");
            }
        }

        throw new UserErrorException($"{otherwise} within {Patience.TotalMinutes} minutes. The host said:\n{_host.Error}");
    }
}
