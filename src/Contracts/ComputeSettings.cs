using System.ComponentModel.DataAnnotations;

namespace RlhfFunctions.Contracts;

/// <summary>
/// What a result's last bits depend on besides seed and data. It stands in the request, never taken from the machine, so that
/// a retried or resumed activity computes what the first attempt would have.
/// </summary>
public sealed record ComputeSettings
{
    /// <summary>"cpu" or "cuda".</summary>
    [RegularExpression("^(cpu|cuda)$", ErrorMessage = "must be \"cpu\" or \"cuda\".")]
    public string Device { get; init; } = "cpu";

    /// <summary>Rollout activities a step is split into.</summary>
    [Range(1, 1024)]
    public int RolloutShards { get; init; } = 2;

    /// <summary>CPU threads of a rollout shard.</summary>
    [Range(1, 1024)]
    public int RolloutThreads { get; init; } = 1;

    /// <summary>
    /// Activities that compute the gradient of a step of the optimizer side by side, before one more adds them up; 1: the whole update is one
    /// activity.
    /// </summary>
    [Range(1, 1024)]
    public int UpdateShards { get; init; } = 1;

    /// <summary>CPU threads of an update, or of each of its shards, which deals them the rows of a mini-batch, and of an evaluation.</summary>
    [Range(1, 1024)]
    public int UpdateThreads { get; init; } = 2;

    /// <summary>
    /// What each thread of an update may keep of the forward pass for the way back, in MiB: as many samples of a mini-batch are taken there
    /// and back at a time. Of one that alone needs more, blocks keep their inputs only and are computed once more.
    /// </summary>
    [Range(1, 1 << 20)]
    public int ActivationMegabytes { get; init; } = 256;
}
