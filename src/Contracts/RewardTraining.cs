using System.ComponentModel.DataAnnotations;

namespace RlhfFunctions.Contracts;

/// <summary>How a reward model is trained from preferences.</summary>
public sealed record RewardTrainingSettings
{
    /// <summary>Passes over the comparisons. More than one soon learns single votes by heart.</summary>
    [Range(1, 100)]
    public int Epochs { get; init; } = 1;

    /// <summary>Comparisons of an optimizer step; those of one prompt stay together, even if they are more.</summary>
    [Range(1, 4096)]
    public int BatchSize { get; init; } = 4;

    /// <summary>The learning rate: reached after the warm-up, and from there on falling.</summary>
    [Range(0.0, 10.0)]
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>The share of the learning rate that is left at the end; 1: it does not fall.</summary>
    [Range(0.0, 1.0)]
    public double FinalLearningRateShare { get; init; }

    /// <summary>Steps in which the learning rate rises.</summary>
    [Range(0, 1_000_000)]
    public int WarmupSteps { get; init; } = 5;

    /// <summary>c of c · mean((r_c + r_r)²), which keeps the scores near zero.</summary>
    [Range(0.0, 10.0)]
    public double CenteringCoefficient { get; init; } = 0.01;

    /// <summary>Largest global norm of the gradient; null: as it is.</summary>
    [Range(1e-9, 1e9)]
    public double? MaxGradientNorm { get; init; } = 1;

    /// <summary>
    /// Parts into which the prompts are dealt. For each a model is trained on all others and judged on it, so that every comparison is
    /// judged by a model that has not seen its prompt; the model that is kept has seen all.
    /// </summary>
    [Range(2, 20)]
    public int Folds { get; init; } = 5;

    /// <summary>The branches a Llama's body learns with; a RoBERTa learns as a whole.</summary>
    public LoraSettings Lora { get; init; } = new() { Rank = 16, Alpha = 16, TargetModules = ["all-linear"] };
}

/// <summary>Comparisons of which the model was about as sure: what a reliability plot draws.</summary>
/// <param name="Confidence">Mean probability it gave to the side it preferred.</param>
/// <param name="Accuracy">Share in which that side won.</param>
/// <param name="Count">How many.</param>
public sealed record ReliabilityBin(double Confidence, double Accuracy, int Count);

/// <summary>How good a reward model is, on comparisons of prompts that it has not seen.</summary>
public sealed record RewardReport
{
    /// <summary>Ties included.</summary>
    public required int Comparisons { get; init; }

    public required int Decided { get; init; }

    /// <summary>Share of the decided ones that it orders as the vote did; the interval is by prompt.</summary>
    public required MetricSummary Accuracy { get; init; }

    /// <summary>The same of the rule that the shorter text is better.</summary>
    public required MetricSummary ShorterAccuracy { get; init; }

    /// <summary>By how much it is more often right than that rule.</summary>
    public required MetricSummary LeadOverShorter { get; init; }

    /// <summary>Mean squared error of the probability it gives to the first text.</summary>
    public required double Brier { get; init; }

    /// <summary>Expected calibration error over ten bins.</summary>
    public required double CalibrationError { get; init; }

    public required IReadOnlyList<ReliabilityBin> Reliability { get; init; }

    /// <summary>Pearson's correlation of lead in score with lead in characters.</summary>
    public required double LengthCorrelation { get; init; }

    /// <summary>
    /// Share of the campaign's gold pairs, which nothing is learnt from, that the kept model orders rightly; null: there were none. A model
    /// reads the response alone, so of a good summary of another dialogue it knows nothing.
    /// </summary>
    public MetricSummary? GoldAccuracy { get; init; }

    /// <summary>Deviation of the kept model's scores over the texts that were voted on: the unit of its score.</summary>
    public double ScoreDeviation { get; init; }

    /// <summary>Why it should not steer a run; null: nothing speaks against it.</summary>
    public string? Refusal { get; init; }
}

/// <summary>Asks for a reward model that is trained from a campaign's votes.</summary>
public sealed record RewardRequest
{
    /// <summary>Names the reward model, which becomes blob:models/{rewardId}; null: one is made up.</summary>
    [RegularExpression(RunId.Pattern, ErrorMessage = RunId.Rule)]
    public string? RewardId { get; init; }

    /// <summary>Every random draw derives from this.</summary>
    [Range(0, 9_007_199_254_740_991)]
    public long Seed { get; init; }

    /// <summary>The campaign whose votes are learnt from, as they are when it starts.</summary>
    [RegularExpression(RunId.Pattern, ErrorMessage = RunId.Rule)]
    public required string CampaignId { get; init; }

    /// <summary>The body it starts from: a Llama, such as the policy's own base, or a RoBERTa.</summary>
    [RegularExpression(Source.Pattern, ErrorMessage = Source.Rule)]
    public required string Base { get; init; }

    /// <summary>
    /// Models that are trained alike but for their seeds, for an ensemble term: the first becomes blob:models/{rewardId}, the others
    /// blob:models/{rewardId}.1 and so on.
    /// </summary>
    [Range(1, 10)]
    public int Seeds { get; init; } = 1;

    public RewardTrainingSettings Training { get; init; } = new();
}

/// <summary>State of the orchestration that trains a reward model.</summary>
public sealed record RewardState(string RewardId, string Base, int Folds, int Seeds = 1);

/// <summary>Input of CollectPreferences.</summary>
public sealed record CollectPreferencesInput(string RewardId);

/// <summary>Input of TrainReward: some steps of one training.</summary>
/// <param name="RewardId">The reward model.</param>
/// <param name="BaseModel">Its body in Blob storage.</param>
/// <param name="Member">Which of its models: 0, 1, … by seed.</param>
/// <param name="Fold">The part that is held out; null: none, and the model is the one that is kept.</param>
/// <param name="Chunk">0, 1, … of the training's steps.</param>
public sealed record TrainRewardInput(string RewardId, string BaseModel, int Member, int? Fold, int Chunk);

/// <summary>Output of TrainReward.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="Steps">Steps in all.</param>
/// <param name="Loss">Mean of the chunk's steps.</param>
public sealed record TrainRewardResult(int Step, int Steps, double Loss);

/// <summary>Input of PublishReward.</summary>
/// <param name="RewardId">The reward model.</param>
/// <param name="BaseModel">Its body in Blob storage.</param>
/// <param name="Member">Which of its models; the first one last, since it tells of all.</param>
/// <param name="Chunks">By model, how many chunks each of its trainings had; the last is that of the kept one.</param>
public sealed record PublishRewardInput(string RewardId, string BaseModel, int Member, IReadOnlyList<IReadOnlyList<int>> Chunks);

/// <summary>A trained reward model.</summary>
/// <param name="RewardId">Its name.</param>
/// <param name="Model">Where it lies: a <c>blob:</c> source of it is <c>blob:models/{rewardId}</c>.</param>
/// <param name="Label">The label under which a run's classifier term asks for its score.</param>
/// <param name="Report">How good it is.</param>
public sealed record RewardOutcome(string RewardId, string Model, string Label, RewardReport Report)
{
    /// <summary>What the first of several models also tells; null: there is only one.</summary>
    public RewardEnsemble? Ensemble { get; init; }
}

/// <summary>Several models of different seeds.</summary>
/// <param name="Report">Of the mean of their scores.</param>
/// <param name="Members">Each by itself, in order of their seeds: their models are what an ensemble term names.</param>
public sealed record RewardEnsemble(RewardReport Report, IReadOnlyList<RewardOutcome> Members);

/// <summary>Answer of GET rewards/{id}.</summary>
public sealed record RewardView(string RewardId, string Status, RewardProgress? Progress, RewardOutcome? Outcome, string? Failure, RewardRequest Request);

/// <summary>How far a reward model's trainings have come, all of them together.</summary>
public sealed record RewardProgress(int Step, int Steps);
