using System.Text.Json;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Sources;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Serving;

/// <summary>A policy that can write: a base model, and the checkpoint of a run where an adapter goes with it.</summary>
/// <param name="Request">Says precision, device, prompt template and how responses are sampled.</param>
/// <param name="BaseModel">models/{name}.</param>
/// <param name="Step">The run's checkpoint; null: the base model alone.</param>
public sealed record ServedPolicy(RunRequest Request, string BaseModel, int? Step);

/// <summary>Where served policies compute, whatever device their run had; null: where their run did.</summary>
public sealed record ServingDevice(string? Name);

/// <summary>Finds the policy that writes where no run is under way.</summary>
public sealed class ServedPolicies(
    RunRequests requests, PublishedAdapters adapters, ArtifactStore artifacts, SourceFiles sources, ModelImports models, ServingDevice device)
{
    /// <summary>Names the base model for as long as no adapter has been published.</summary>
    private const string FirstRequest = Source.File + "samples/demo.json";

    /// <summary>The policy a finished run ended with, or null when the run has not finished or is not there.</summary>
    public async Task<ServedPolicy?> OfRunAsync(string runId, CancellationToken cancellation)
    {
        if (await artifacts.FindAsync<RunOutcome>(BlobPaths.Run(runId), cancellation) is not { } finished) return null;
        var request = await requests.GetAsync(runId, cancellation);
        return new ServedPolicy(Here(request), finished.Result.Prepared.Base, finished.Result.Checkpoint);
    }

    /// <summary>The policy as a run, which need not have finished, had it before a step, or null where that checkpoint is not there.</summary>
    public async Task<ServedPolicy?> OfCheckpointAsync(string runId, int step, CancellationToken cancellation)
    {
        if (!await artifacts.IsThereAsync(BlobPaths.Checkpoint(runId, step), cancellation)) return null;
        var request = await requests.GetAsync(runId, cancellation);
        string model = await models.ImportAsync(request.Model.Source, request.Model.Precision, new Progress<ImportProgress>(), cancellation);
        return new ServedPolicy(Here(request), model, step);
    }

    /// <summary>The policy that adapters/latest points to, or else the base model of the demo alone.</summary>
    /// <exception cref="InvalidInputException">There is neither.</exception>
    public async Task<ServedPolicy> LatestAsync(CancellationToken cancellation)
    {
        if (await adapters.FindLatestAsync(cancellation) is { } latest)
            return new ServedPolicy(Here(await requests.GetAsync(latest.RunId, cancellation)), latest.Prepared.Base, latest.Step);

        await using var file = await sources.OpenAsync(FirstRequest, cancellation);
        var request = (await JsonSerializer.DeserializeAsync<RunRequest>(file, ContractsJson.Strict, cancellation))!;
        string model = await models.ImportAsync(request.Model.Source, request.Model.Precision, new Progress<ImportProgress>(), cancellation);
        return new ServedPolicy(Here(request), model, Step: null);
    }

    /// <summary>A run's request, to be computed by here.</summary>
    public RunRequest Here(RunRequest request)
    {
        return device.Name is { Length: > 0 } name ? request with { Compute = request.Compute with { Device = name } } : request;
    }
}
