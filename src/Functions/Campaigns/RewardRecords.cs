using System.Text.Json;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Hosting;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Campaigns;

/// <summary>A reward model is its request and the model it published; the engine only knows how its training fares.</summary>
public sealed class RewardRecords(BlobFiles blobs, ArtifactStore artifacts)
{
    /// <summary>What lies beside a published reward model's weights.</summary>
    public const string ReportFile = "reward.json";

    /// <summary>The training's orchestration. No run's id has a dot.</summary>
    public static string InstanceOf(string rewardId)
    {
        return $"reward.{rewardId}";
    }

    /// <summary>Records a request and starts its training; false when another request has its id.</summary>
    public async Task<bool> StartAsync(DurableTaskClient engine, RewardRequest request, CancellationToken cancellation)
    {
        string id = request.RewardId!;
        if (!await blobs.TryRecordAsync(BlobPaths.Reward(id), request, cancellation)) return false;
        await engine.StartOnceAsync(FunctionNames.RewardModel, InstanceOf(id), new RewardState(id, request.Base, request.Training.Folds, request.Seeds), cancellation);
        return true;
    }

    /// <summary>The request of a reward model, or null when there is none.</summary>
    public Task<RewardRequest?> FindAsync(string rewardId, CancellationToken cancellation)
    {
        return RunId.IsValid(rewardId)
            ? blobs.ReadJsonAsync<RewardRequest>(BlobPaths.Reward(rewardId), cancellation)
            : Task.FromResult<RewardRequest?>(null);
    }

    /// <summary>The request of a reward model that must be there.</summary>
    public async Task<RewardRequest> GetAsync(string rewardId, CancellationToken cancellation)
    {
        return await FindAsync(rewardId, cancellation) ?? throw new CorruptArtifactException(BlobPaths.Reward(rewardId), "is missing");
    }

    /// <summary>What is known of a reward model, or null when there is none.</summary>
    public async Task<RewardView?> FindAsync(DurableTaskClient engine, string rewardId, CancellationToken cancellation)
    {
        if (await FindAsync(rewardId, cancellation) is not { } request) return null;
        var instance = await engine.GetInstanceAsync(InstanceOf(rewardId), getInputsAndOutputs: true, cancellation);
        var published = await FindOutcomeAsync(rewardId, cancellation);
        string status = published is not null ? nameof(OrchestrationRuntimeStatus.Completed) : instance?.RuntimeStatus.ToString() ?? "NotStarted";
        return new RewardView(rewardId, status, instance?.ReadCustomStatusAs<RewardProgress>(), published, instance?.ReadFailure(), request);
    }

    /// <summary>What a reward model came to; null before it is published, and of models that came from elsewhere.</summary>
    public async Task<RewardOutcome?> FindOutcomeAsync(string rewardId, CancellationToken cancellation)
    {
        var manifest = await artifacts.FindAsync<object>(BlobPaths.Model(rewardId), cancellation);
        if (manifest?.Files.FirstOrDefault(file => file.Name == ReportFile) is not { } report) return null;
        return JsonSerializer.Deserialize<RewardOutcome>(await artifacts.ReadAsync(report, cancellation), ContractsJson.Options);
    }
}
