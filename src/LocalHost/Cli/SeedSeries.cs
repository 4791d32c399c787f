using System.Text.Json;
using RlhfFunctions.Contracts;
using Spectre.Console;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>
/// The demo with several seeds, one run after the other. Their ids are the series' id and the seed, so that the same command
/// finds an interrupted series and goes on with it; a series that is whole or has failed is left alone and a new one begun.
/// </summary>
internal sealed class SeedSeries(RunClient client, DemoRun demo, DemoOptions options, IAnsiConsole console)
{
    private const string Prefix = "seeds";

    /// <param name="request">What all have in common.</param>
    /// <param name="seeds">A run for each.</param>
    /// <param name="folder">Theirs within the output folder.</param>
    /// <param name="cancellation">Ends the watching.</param>
    public async Task<IReadOnlyList<EvaluationReport>> RunAsync(RunRequest request, IReadOnlyList<long> seeds, string folder, CancellationToken cancellation)
    {
        var done = await FindUnderWayAsync(request, seeds, cancellation);
        string series = done?.Id ?? RunId.New(DateTimeOffset.UtcNow, Prefix);
        var finished = new List<EvaluationReport>();
        foreach (long seed in seeds)
        {
            string runId = $"{series}-{seed}";
            console.WriteLine($"Seed {seed}, {finished.Count + 1} of {seeds.Count}");
            if (done?.Seeds.Contains(seed) == true) console.WriteLine($"Run {runId} was begun before.");
            else await demo.StartAsync(request with { RunId = runId, Seed = seed }, cancellation);
            finished.Add((await demo.FollowAsync(runId, Path.Combine(folder, $"seed-{seed}"), cancellation)).Report);
        }

        console.WriteLine();
        console.Write(SeedTable.Console(finished));
        await ShowMarkdownAsync(SeedTable.Markdown(finished), console, options.OutputFolder, Path.Combine(folder, "seeds.md"), cancellation);
        return finished;
    }

    /// <summary>Writes a table to be pasted, and to a file where there is a folder for it.</summary>
    public static async Task ShowMarkdownAsync(string markdown, IAnsiConsole console, string? folder, string file, CancellationToken cancellation)
    {
        console.WriteLine("\nThe same in Markdown:\n");
        await console.Profile.Out.Writer.WriteLineAsync(markdown); // unbroken, to be pasted
        if (folder is null) return;
        string path = Path.GetFullPath(Path.Combine(folder, file));
        await File.WriteAllTextAsync(path, markdown, cancellation);
        await console.Profile.Out.Writer.WriteLineAsync($"Also in {path}, beside a folder for each seed.");
    }

    /// <summary>The newest series of this request, if some of the wanted seeds are still to do and none has failed.</summary>
    private async Task<Begun?> FindUnderWayAsync(RunRequest request, IReadOnlyList<long> seeds, CancellationToken cancellation)
    {
        string wanted = Normal(request);
        var runs = new List<(string Series, long Seed, string Status)>();
        foreach (var run in await client.ListAsync(Prefix + "-", cancellation))
        {
            var recorded = (await client.GetAsync(run.RunId, cancellation)).Request;
            if (Normal(recorded) == wanted) runs.Add((run.RunId[..run.RunId.LastIndexOf('-')], recorded.Seed, run.Status));
        }

        var newest = runs.GroupBy(run => run.Series).MaxBy(series => series.Key, StringComparer.Ordinal);
        if (newest is null || newest.Any(run => run.Status is "Failed" or "Terminated")) return null;
        bool isWhole = seeds.All(seed => newest.Any(run => run.Seed == seed && run.Status == "Completed"));
        return isWhole ? null : new Begun(newest.Key, newest.Select(run => run.Seed).ToHashSet());
    }

    private static string Normal(RunRequest request)
    {
        return JsonSerializer.Serialize(request with { RunId = null, Seed = 0 }, ContractsJson.Options);
    }

    private sealed record Begun(string Id, IReadOnlySet<long> Seeds);
}
