using System.Collections.Concurrent;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Rewards;

namespace RlhfFunctions.Loading;

/// <summary>Keeps loaded classifiers; they hold no state, so activities that run side by side share them.</summary>
public sealed class Classifiers(ModelFolders models)
{
    private readonly ConcurrentDictionary<(string Folder, string Label, string HateLabel, string Device), Lazy<ClassifierReward>> _loaded = new();

    /// <summary>The run's reward.</summary>
    public Task<ClassifierReward> RewardAsync(PreparedRun prepared, RunRequest request, CancellationToken cancellation)
    {
        return GetAsync(prepared.Reward, request.Reward.Label, request.Reward.HateLabel, request.Compute.Device, cancellation);
    }

    /// <summary>The run's judge.</summary>
    public Task<ClassifierReward> JudgeAsync(PreparedRun prepared, RunRequest request, CancellationToken cancellation)
    {
        return GetAsync(prepared.Judge, request.Evaluation.HateLabel, request.Evaluation.HateLabel, request.Compute.Device, cancellation);
    }

    private async Task<ClassifierReward> GetAsync(string modelPath, string label, string hateLabel, string device, CancellationToken cancellation)
    {
        string folder = await models.FetchAsync(modelPath, cancellation);
        return _loaded.GetOrAdd(
            (folder, label, hateLabel, device),
            key => new Lazy<ClassifierReward>(() => ClassifierReward.Load(key.Folder, key.Label, key.HateLabel, Torch.Device(key.Device)))).Value;
    }
}
