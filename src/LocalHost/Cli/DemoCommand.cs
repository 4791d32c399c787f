using System.Text.Json;
using Microsoft.DurableTask.Client;
using Microsoft.Extensions.DependencyInjection;
using RlhfFunctions.Contracts;
using RlhfFunctions.LocalHost.Hosting;
using RlhfFunctions.Storage;
using Spectre.Console;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>Hosts the functions, runs samples/demo.json through their HTTP API, shows it live and reports what it did.</summary>
internal static class DemoCommand
{
    private const string RunPrefix = "demo";

    public static async Task RunAsync(DemoOptions options, IAnsiConsole console, CancellationToken cancellation)
    {
        var request = await ReadRequestAsync(options, cancellation);
        await using var host = await HostSession.StartAsync(options.Host, console.WriteLine, cancellation);
        using var client = new RunClient(host.Address);

        string? runId = await FindUnderWayAsync(host.Services, request, cancellation);
        if (runId is null)
        {
            runId = RunId.New(DateTimeOffset.UtcNow, RunPrefix);
            await client.StartAsync(request with { RunId = runId }, cancellation);
            console.WriteLine($"Run {runId} started; {host.Address}api/runs/{runId} tells how it fares.");
        }
        else
        {
            console.WriteLine($"Run {runId} was under way and goes on; {host.Address}api/runs/{runId} tells how it fares.");
        }

        var view = await new RunDisplay(client, console).FollowAsync(runId, cancellation);
        if (view.Outcome is not { } outcome)
            throw new UserErrorException($"Run {runId} ended as {view.Status}: {view.Failure ?? "no reason was given"}");

        var output = host.Services.GetRequiredService<RunOutput>();
        var report = await output.ReadEvaluationAsync(runId, cancellation);
        DemoReport.Write(console, report, outcome, $"{host.BlobAddress}{BlobPaths.Run(runId)}/");
        if (options.OutputFolder is { } folder)
        {
            await output.CopyToAsync(runId, folder, cancellation);
            console.WriteLine($"Adapter, metrics and evaluation as files: {Path.GetFullPath(folder)}");
        }
    }

    private static async Task<RunRequest> ReadRequestAsync(DemoOptions options, CancellationToken cancellation)
    {
        string path = Path.Combine(Repository.Root, "samples", "demo.json");
        await using var file = File.OpenRead(path);
        var request = (await JsonSerializer.DeserializeAsync<RunRequest>(file, ContractsJson.Strict, cancellation))!;
        request = request with { Seed = options.Seed ?? request.Seed, Ppo = request.Ppo with { Steps = options.Steps ?? request.Ppo.Steps } };
        if (RequestValidation.Check(request) is { Count: > 0 } errors)
            throw new UserErrorException(string.Join(" ", errors.Select(error => $"{error.Key} {string.Join(" ", error.Value)}")));
        return request;
    }

    /// <summary>A demo run of the same request that was interrupted, if there is one: the same command goes on with it.</summary>
    private static async Task<string?> FindUnderWayAsync(IServiceProvider services, RunRequest request, CancellationToken cancellation)
    {
        var requests = services.GetRequiredService<RunRequests>();
        string wanted = Normal(request);
        var filter = new OrchestrationQuery(
            Statuses: [OrchestrationRuntimeStatus.Running, OrchestrationRuntimeStatus.Pending], InstanceIdPrefix: RunPrefix + "-");
        await foreach (var instance in services.GetRequiredService<DurableTaskClient>().GetAllInstancesAsync(filter).WithCancellation(cancellation))
        {
            if (await requests.FindAsync(instance.InstanceId, cancellation) is { } recorded && Normal(recorded) == wanted) return instance.InstanceId;
        }

        return null;
    }

    private static string Normal(RunRequest request)
    {
        return JsonSerializer.Serialize(request with { RunId = null }, ContractsJson.Options);
    }
}
