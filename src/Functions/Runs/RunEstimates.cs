using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Sources;
using RlhfFunctions.Storage;
using TorchSharp;

namespace RlhfFunctions.Runs;

/// <summary>Tells what a run would take, from its model's config.json and from the last run like it.</summary>
public sealed class RunEstimates(RunRequests requests, ArtifactStore artifacts, SourceFiles sources, PriceSetting prices)
{
    /// <summary>How many runs are looked at, the newest first.</summary>
    private const int MostLooked = 50;

    /// <param name="request">One that has passed its checks.</param>
    /// <param name="cancellation">Stops between runs.</param>
    public async Task<RunEstimate> EstimateAsync(RunRequest request, CancellationToken cancellation)
    {
        var estimate = new RunEstimate(request.Training.Steps, CostEstimate.MostTokens(request)) { MemoryBytes = await MemoryAsync(request, cancellation) };
        if (await FindLikeAsync(request, cancellation) is not { } like) return estimate;
        var usage = CostEstimate.UsageBefore(request, like);
        return estimate with
        {
            Like = like.Request.RunId,
            Seconds = usage.PrepareSeconds + (usage.RolloutSeconds / request.Compute.RolloutShards) + (usage.UpdateSeconds / request.Compute.UpdateShards) + usage.EvaluateSeconds,
            Cost = CostEstimate.Before(request, like, prices.Price),
        };
    }

    private async Task<long?> MemoryAsync(RunRequest request, CancellationToken cancellation)
    {
        if (await sources.FindConfigAsync(request.Model.Source, cancellation) is not { } file) return null;
        var config = LlamaConfig.Read(file);
        var device = request.Compute.Device == "cuda" ? DeviceType.CUDA : DeviceType.CPU;
        return WeightInventory.Of(config).Bytes(request.Model.Precision, device) + PolicyCounts.Of(config, request.Lora).TrainedBytes;
    }

    private async Task<FinishedRun?> FindLikeAsync(RunRequest request, CancellationToken cancellation)
    {
        foreach (var (id, _) in (await requests.ListAsync(cancellation)).Take(MostLooked))
        {
            try
            {
                if (await requests.FindAsync(id, cancellation) is not { } other || other.Model != request.Model || other.Algorithm != request.Algorithm || other.Compute.Device != request.Compute.Device) continue;
                if (await artifacts.FindAsync<RunOutcome>(BlobPaths.Run(id), cancellation) is not { Result.Steps: > 0 } finished) continue;
                byte[] evaluation = await artifacts.ReadAsync(finished.Files.Single(file => file.Name == RunFiles.Evaluation), cancellation);
                if (JsonSerializer.Deserialize<EvaluationReport>(evaluation, ContractsJson.Options)?.Usage is { } usage)
                    return new FinishedRun(other, finished.Result.Steps, usage);
            }
            catch (CorruptArtifactException)
            {
                // Then by another.
            }
        }

        return null;
    }
}
