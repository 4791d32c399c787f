using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using RlhfFunctions.Contracts;
using RlhfFunctions.Http;
using RlhfFunctions.LocalHost.Hosting;
using RlhfFunctions.Storage;
using Spectre.Console;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>What a run of the demo came to.</summary>
/// <param name="Report">Its evaluation.</param>
/// <param name="Outcome">Its outcome.</param>
/// <param name="Folder">Where its files lie: report.html, adapter/ and so on.</param>
internal sealed record FinishedRun(EvaluationReport Report, RunOutcome Outcome, string Folder);

/// <summary>Runs a request through the functions' HTTP API.</summary>
internal sealed class DemoRun(HostSession host, RunClient client, DemoOptions options, IAnsiConsole console)
{
    /// <summary>The request with the command line's seed and steps.</summary>
    /// <exception cref="UserErrorException">The result is no valid request.</exception>
    public static async Task<RunRequest> ReadRequestAsync(DemoOptions options, CancellationToken cancellation)
    {
        var request = await ParseAsync(options.RequestFile, cancellation);
        request = request with { Seed = options.Seed ?? request.Seed, Training = request.Training with { Steps = options.Steps ?? request.Training.Steps } };
        if (RequestValidation.Check(request) is { Count: > 0 } errors)
            throw new UserErrorException(string.Join(" ", errors.Select(error => $"{error.Key} {string.Join(" ", error.Value)}")));
        return request;
    }

    /// <exception cref="UserErrorException">The file is no run request.</exception>
    public static async Task<RunRequest> ParseAsync(string path, CancellationToken cancellation)
    {
        try
        {
            await using var file = File.OpenRead(path);
            return (await JsonSerializer.DeserializeAsync<RunRequest>(file, ContractsJson.Strict, cancellation))!;
        }
        catch (Exception e) when (e is JsonException or NotSupportedException)
        {
            throw new UserErrorException($"{path} is not a run request. {JsonProblem.Describe(e, "samples/demo.json")}");
        }
        catch (IOException e)
        {
            throw new UserErrorException($"{path} cannot be read: {e.Message}");
        }
    }

    /// <summary>Starts a run; one that has this id and request already is that run.</summary>
    public async Task StartAsync(RunRequest request, CancellationToken cancellation)
    {
        await client.StartAsync(request, cancellation);
        console.WriteLine($"Run {request.RunId} started; {host.Address}api/runs/{request.RunId}/report shows how it fares.");
    }

    /// <summary>Shows a run until it ends and copies what it published to a folder.</summary>
    /// <param name="runId">A run that was started.</param>
    /// <param name="subfolder">Its folder within the output folder the user chose.</param>
    /// <param name="cancellation">Ends the watching; the run goes on when it is asked for again.</param>
    /// <exception cref="UserErrorException">The run failed.</exception>
    public async Task<FinishedRun> FollowAsync(string runId, string subfolder, CancellationToken cancellation)
    {
        var view = await new RunDisplay(client, console).FollowAsync(runId, cancellation);
        if (view.Outcome is not { } outcome)
            throw new UserErrorException($"Run {runId} ended as {view.Status}: {view.Failure ?? "no reason was given"}");

        await using var services = host.OpenServices();
        var output = new RunOutput(services.GetRequiredService<BlobFiles>(), services.GetRequiredService<ArtifactStore>());
        string folder = Path.GetFullPath(
            options.OutputFolder is { } chosen ? Path.Combine(chosen, subfolder) : Path.Combine(options.Host.DataFolder, "demo", runId));
        await output.CopyToAsync(runId, folder, cancellation);
        return new FinishedRun(await output.ReadEvaluationAsync(runId, cancellation), outcome, folder);
    }
}
