using System.Text.Json;
using RlhfFunctions.Contracts;
using Spectre.Console;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>Hosts the functions, runs samples/demo.json, shows it live and reports what it did.</summary>
internal static class DemoCommand
{
    private const string RunPrefix = "demo";

    public static async Task RunAsync(DemoOptions options, IAnsiConsole console, CancellationToken cancellation)
    {
        if (options.Algorithms is not null)
        {
            await CompareAsync(options, options.Algorithms, console, cancellation);
            return;
        }

        var request = await DemoRun.ReadRequestAsync(options, cancellation);
        await using var host = await HostSession.StartAsync(options.Host, console.WriteLine, cancellation);
        using var client = new RunClient(host.Address);
        var demo = new DemoRun(host, client, options, console);
        if (options.Seeds is { } seeds)
        {
            await new SeedSeries(client, demo, options, console).RunAsync(request, seeds, "", cancellation);
            return;
        }

        string? runId = await FindUnderWayAsync(client, request, cancellation);
        if (runId is null)
        {
            runId = RunId.New(DateTimeOffset.UtcNow, RunPrefix);
            await demo.StartAsync(request with { RunId = runId }, cancellation);
        }
        else
        {
            console.WriteLine($"Run {runId} was under way and goes on; {host.Address}api/runs/{runId}/report shows how it fares.");
        }

        DemoReport.Write(console, await demo.FollowAsync(runId, "", cancellation), options.Host, host.Address);
    }

    /// <summary>The same seeds by several algorithms, each with the sample request of its own, and one table of them all.</summary>
    private static async Task CompareAsync(DemoOptions options, IReadOnlyList<AlgorithmName> algorithms, IAnsiConsole console, CancellationToken cancellation)
    {
        await using var host = await HostSession.StartAsync(options.Host, console.WriteLine, cancellation);
        using var client = new RunClient(host.Address);
        var reports = new List<(AlgorithmName Algorithm, IReadOnlyList<EvaluationReport> Reports)>();
        foreach (var algorithm in algorithms)
        {
            string name = JsonNamingPolicy.CamelCase.ConvertName(algorithm.ToString());
            console.WriteLine($"{name}, {reports.Count + 1} of {algorithms.Count} algorithms");
            string file = algorithm == AlgorithmName.Ppo ? "demo.json" : $"demo-{name}.json";
            var request = await DemoRun.ReadRequestAsync(options with { RequestFile = Path.Combine(Repository.Root, "samples", file) }, cancellation);
            var demo = new DemoRun(host, client, options, console);
            reports.Add((algorithm, await new SeedSeries(client, demo, options, console).RunAsync(request, options.Seeds ?? [request.Seed], name, cancellation)));
        }

        console.WriteLine();
        console.Write(AlgorithmTable.Console(reports));
        await SeedSeries.ShowMarkdownAsync(AlgorithmTable.Markdown(reports), console, options.OutputFolder, "algorithms.md", cancellation);
    }

    /// <summary>A demo run of the same request that was interrupted, if there is one: the same command goes on with it.</summary>
    private static async Task<string?> FindUnderWayAsync(RunClient client, RunRequest request, CancellationToken cancellation)
    {
        string wanted = Normal(request);
        foreach (var run in await client.ListAsync(RunPrefix + "-", cancellation))
        {
            if (run.Status is "Running" or "Pending" && Normal((await client.GetAsync(run.RunId, cancellation)).Request) == wanted) return run.RunId;
        }

        return null;
    }

    private static string Normal(RunRequest request)
    {
        return JsonSerializer.Serialize(request with { RunId = null }, ContractsJson.Options);
    }
}
