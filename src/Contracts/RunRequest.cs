using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;

namespace RlhfFunctions.Contracts;

/// <summary>
/// The body of POST /api/runs, and, stored as runs/{runId}/request.json, the identity of a run: everything the result
/// depends on stands here.
/// </summary>
public sealed record RunRequest
{
    /// <summary>Names the run, its orchestration and its blobs; null: the app makes one up.</summary>
    [RegularExpression(Contracts.RunId.Pattern, ErrorMessage = Contracts.RunId.Rule)]
    public string? RunId { get; init; }

    /// <summary>What people call it; the result does not depend on it.</summary>
    [StringLength(200)]
    public string? Name { get; init; }

    /// <summary>Words by which it can be found again; the result does not depend on them.</summary>
    [MaxLength(32)]
    public IReadOnlyList<string>? Tags { get; init; }

    /// <summary>Every random draw of the run derives from this.</summary>
    [Range(0, 9_007_199_254_740_991)]
    public long Seed { get; init; }

    public required ModelSettings Model { get; init; }

    /// <summary>What is rewarded; null where preferences are learned from.</summary>
    public RewardSettings? Reward { get; init; }

    public required DataSettings Data { get; init; }

    public LoraSettings Lora { get; init; } = new();

    /// <summary>How the run learns. The section of this name, and no other, may set its numbers.</summary>
    public AlgorithmName Algorithm { get; init; } = AlgorithmName.Ppo;

    public PpoSettings? Ppo { get; init; }

    public GrpoSettings? Grpo { get; init; }

    public RlooSettings? Rloo { get; init; }

    public DpoSettings? Dpo { get; init; }

    /// <summary>The numbers of the run's algorithm: its section, or that algorithm's defaults.</summary>
    [JsonIgnore]
    public TrainingSettings Training
    {
        get => Algorithm switch
        {
            AlgorithmName.Ppo => Ppo ?? new(),
            AlgorithmName.Grpo => Grpo ?? new(),
            AlgorithmName.Rloo => Rloo ?? new(),
            AlgorithmName.Dpo => Dpo ?? new(),
            _ => throw new NotSupportedException($"{Algorithm} is not known."),
        };
        init => (Algorithm, Ppo, Grpo, Rloo, Dpo) =
            (value.Algorithm, value as PpoSettings, value as GrpoSettings, value as RlooSettings, value as DpoSettings);
    }

    public GenerationSettings Generation { get; init; } = new();

    public EvaluationSettings Evaluation { get; init; } = new();

    /// <summary>Null: nobody watches whether the reward is exploited.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)] // null is not the default
    public WatchSettings? Watch { get; init; } = new();

    public ComputeSettings Compute { get; init; } = new();

    public RetentionSettings Retention { get; init; } = new();

    public RunLimits Limits { get; init; } = new();

    /// <summary>Who is told of its end; null: nobody. The result does not depend on it.</summary>
    public NotifySettings? Notify { get; init; }
}
