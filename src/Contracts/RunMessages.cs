using System.Text.Json.Serialization;

namespace RlhfFunctions.Contracts;

/// <summary>Where the prepared inputs of a run lie in Blob storage; one reward for each classifier among the reward's terms, in order; no judge where the run has none.</summary>
public sealed record PreparedRun(string Base, IReadOnlyList<string> Rewards, string? Judge, string Dataset)
{
    /// <summary>Where the preferences lie with what the reference says of them, by shards; null where the policy itself is sampled.</summary>
    public IReadOnlyList<RolloutShardResult>? Preferences { get; init; }
}

/// <summary>The <see cref="Source"/> of each model of a run.</summary>
/// <param name="Base">The base model.</param>
/// <param name="Rewards">One for each classifier among the reward's terms, in order.</param>
/// <param name="Judge">The judge; null: there is none.</param>
/// <param name="BasePrecision">How the base will be held in memory; the classifiers are taken as they are.</param>
public sealed record ModelSources(
    string Base, IReadOnlyList<string> Rewards, string? Judge, ModelPrecision BasePrecision = ModelPrecision.Float32);

/// <summary>The state the orchestration hands from one step to the next; references and small numbers only.</summary>
public sealed record RlhfRunState
{
    public required string RunId { get; init; }

    /// <summary>When it was asked for; with its name and tags it stands here so that a list of runs need not ask each of them.</summary>
    public DateTimeOffset? CreatedAt { get; init; }

    public string? Name { get; init; }

    public IReadOnlyList<string>? Tags { get; init; }

    public required ModelSources Sources { get; init; }

    public required int Steps { get; init; }

    public required int Shards { get; init; }

    /// <summary>Shards of the gradient of a step of the optimizer; 1: an update is one activity.</summary>
    public int UpdateShards { get; init; } = 1;

    /// <summary>Whether preferences are learned from, rather than what the policy samples.</summary>
    public bool LearnsFromPreferences { get; init; }

    /// <summary>Null until the run is prepared and measured.</summary>
    public PreparedRun? Prepared { get; init; }

    /// <summary>Steps done.</summary>
    public int Step { get; init; }

    /// <summary>The step under way; null while its samples are not there.</summary>
    public StepUnderWay? UnderWay { get; init; }

    public DateTime? StartedAt { get; init; }

    public RunTimings Timings { get; init; } = new(0, 0, 0, 0);

    public RunUsage Usage { get; init; } = new();

    public RunLimits Limits { get; init; } = new();

    /// <summary>Whether somebody is told of its end.</summary>
    public bool Notifies { get; init; }

    /// <summary>The app's price when the run was started; null: it had none.</summary>
    public Price? Price { get; init; }

    /// <summary>The last progress shown, so that every step shows the whole picture.</summary>
    public RunProgress? Progress { get; init; }

    /// <summary>How often the run went back for a broken artefact since it last got on.</summary>
    public int Retreats { get; init; }

    /// <summary>The run had ended without a result at <see cref="Step"/>, and is to go on from its last whole checkpoint.</summary>
    public bool IsRestarted { get; init; }
}

/// <summary>A step between its samples and its checkpoint.</summary>
/// <param name="Shards">Its samples.</param>
public sealed record StepUnderWay(IReadOnlyList<RolloutShardResult> Shards)
{
    /// <summary>Steps of the optimizer made so far, where shards compute their gradients.</summary>
    public int OptimizerSteps { get; init; }

    /// <summary>Whether these were all.</summary>
    public bool IsOptimized { get; init; }

    /// <summary>Seconds they took, of the shards the slowest.</summary>
    public double Seconds { get; init; }

    /// <summary>Seconds of all their activities added up.</summary>
    public double UsedSeconds { get; init; }
}

/// <summary>Seconds that the activities of each stage took so far, from being called to having their output; of those side by side, the slowest.</summary>
public sealed record RunTimings(double Prepare, double Rollout, double Update, double Evaluate);

/// <summary>What a run is doing.</summary>
public enum RunPhase
{
    Preparing,
    Measuring,
    Learning,
    Publishing,
    Finished,
}

/// <summary>The orchestration's custom status: what a progress display needs.</summary>
public sealed record RunProgress
{
    public required RunPhase Phase { get; init; }

    public required int Step { get; init; }

    public required int Steps { get; init; }

    /// <summary>Probability of the judged label on the held-out dialogues before learning; null: not measured yet, or no judge.</summary>
    public double? LabelBefore { get; init; }

    /// <summary>Set when that is too little to learn from: says so, and what to do.</summary>
    public string? NothingToUnlearn { get; init; }

    public StepReport? LastStep { get; init; }

    /// <summary>Estimated seconds until the last step is done.</summary>
    public double? SecondsLeft { get; init; }

    /// <summary>What the run has cost so far.</summary>
    public RunCost? Cost { get; init; }

    /// <summary>What that is made of; a run that is taken up again goes on counting from here.</summary>
    public RunUsage? Usage { get; init; }

    /// <summary>Seconds of each stage so far, likewise.</summary>
    public RunTimings? Timings { get; init; }

    /// <summary>What it will have cost in the end, as far as can be told; null before its first step.</summary>
    public RunCost? CostAtEnd { get; init; }

    /// <summary>What went wrong last and was put right: why the run went back to an earlier step.</summary>
    public string? Retreat { get; init; }
}

/// <summary>Input of PrepareModel, which brings one of a run's models into Blob storage.</summary>
/// <param name="Source">The model's <see cref="Contracts.Source"/>.</param>
/// <param name="Precision">How it will be held in memory; for NF4 it is quantised once, and the 4-bit form is what counts.</param>
public sealed record PrepareModelInput(string Source, ModelPrecision Precision = ModelPrecision.Float32);

/// <summary>Input of PrepareDataset.</summary>
/// <param name="RunId">The run whose request names the data.</param>
/// <param name="BaseModel">The imported model whose tokenizer makes the ids.</param>
public sealed record PrepareDatasetInput(string RunId, string BaseModel);

/// <summary>Input of PrepareAdapter.</summary>
public sealed record PrepareAdapterInput(string RunId, string BaseModel);

/// <summary>Input of ScorePreferences.</summary>
public sealed record ScorePreferencesInput(string RunId, string BaseModel, string Dataset, int Shard);

/// <summary>Input of RolloutShard.</summary>
public sealed record RolloutShardInput(string RunId, PreparedRun Prepared, int Step, int Shard);

/// <summary>Output of RolloutShard and of ScorePreferences.</summary>
/// <param name="Path">Where the shard's samples lie.</param>
/// <param name="ResponseTokens">Tokens of their responses.</param>
/// <param name="Seconds">Seconds of generation and scoring.</param>
/// <param name="ActivitySeconds">Seconds of the whole activity.</param>
public sealed record RolloutShardResult(string Path, int ResponseTokens, double Seconds, double ActivitySeconds);

/// <summary>Input of GradientShard: a part of the gradient of a step of the optimizer, both counted from 0.</summary>
public sealed record GradientShardInput(string RunId, string BaseModel, int Step, int OptimizerStep, int Shard);

/// <summary>Output of GradientShard.</summary>
/// <param name="ActivitySeconds">Seconds of the whole activity.</param>
public sealed record GradientShardResult(double ActivitySeconds);

/// <summary>Input of OptimizerStep.</summary>
/// <param name="RunId">The run.</param>
/// <param name="BaseModel">Its imported base model.</param>
/// <param name="Step">The step.</param>
/// <param name="Number">Which of its steps of the optimizer, from 0.</param>
/// <param name="GradientSeconds">Seconds of the slowest shard.</param>
public sealed record OptimizerStepInput(string RunId, string BaseModel, int Step, int Number, double GradientSeconds);

/// <summary>Output of OptimizerStep.</summary>
/// <param name="IsLast">Whether there is none behind it.</param>
/// <param name="ActivitySeconds">Seconds of the whole activity.</param>
public sealed record OptimizerStepResult(bool IsLast, double ActivitySeconds);

/// <summary>Input of PpoUpdate.</summary>
public sealed record PpoUpdateInput(string RunId, PreparedRun Prepared, int Step, IReadOnlyList<RolloutShardResult> Shards)
{
    /// <summary>Steps of the optimizer that others have made and that only have to be finished; 0: none were, and the update makes them.</summary>
    public int OptimizerSteps { get; init; }
}

/// <summary>
/// What a step came to: the figures a progress display shows; no KL where it was not measured or not finite, no label probability where no
/// classifier tells one, no pace where nothing is sampled. The reward of preferences is the margin by which the policy has come to prefer the chosen responses.
/// </summary>
public sealed record StepReport(int Step, double Reward, double? Kl, double KlCoefficient, double? LabelProbability, double ResponseTokens, double? TokensPerSecond)
{
    /// <summary>What went too far in this step, so that the run stops after it; null: nothing.</summary>
    public string? Alarm { get; init; }

    /// <summary>Which of its limits the run has reached, so that it stops after this step; null: none.</summary>
    public string? Limit { get; init; }

    /// <summary>How the reward is being exploited, so that the run stops and publishes <see cref="Best"/>; null: nothing of the kind was seen.</summary>
    public string? Hack { get; init; }

    /// <summary>Why the run stopped before its last step; null: it did not.</summary>
    [JsonIgnore]
    public string? WhyStopped => Alarm ?? Hack ?? Limit;

    /// <summary>The best checkpoint that the watch has seen; null: none yet.</summary>
    public int? Best { get; init; }

    /// <summary>The one that was the best until this step; null: it still is, or there was none.</summary>
    public int? Replaced { get; init; }

    /// <summary>Seconds of the update's activity.</summary>
    public double ActivitySeconds { get; init; }
}

/// <summary>Input of RepairRun: discard what is broken, and find the last whole checkpoint.</summary>
/// <param name="RunId">The run.</param>
/// <param name="Step">The step it had come to.</param>
/// <param name="Reason">What was found broken; null: nothing yet.</param>
public sealed record RepairRunInput(string RunId, int Step, string? Reason = null)
{
    /// <summary>A checkpoint that is to be published: it is made again where it is not whole. Null: the last one is.</summary>
    public int? Needed { get; init; }
}

/// <summary>Input of Evaluate: measure the policy as it is before step <paramref name="Step"/>; step 0 is the reference itself.</summary>
public sealed record EvaluateInput(string RunId, PreparedRun Prepared, int Step);

/// <summary>Output of Evaluate.</summary>
/// <param name="Path">Where the measurement lies.</param>
/// <param name="LabelProbability">Of the judged label, mean over the held-out dialogues; null: there was no judge.</param>
/// <param name="RougeL">Mean F-measure against the reference summaries.</param>
/// <param name="ActivitySeconds">Seconds of the whole activity.</param>
/// <param name="NothingToUnlearn">Set when the reference itself was measured and there is hardly anything to unlearn.</param>
public sealed record EvaluateResult(string Path, double? LabelProbability, double RougeL, double ActivitySeconds, string? NothingToUnlearn = null);

/// <summary>Input of PublishAdapter.</summary>
public sealed record PublishAdapterInput(string RunId, PreparedRun Prepared, int Steps, RunTimings Timings, double TotalSeconds, string? Alarm = null)
{
    public string? Limit { get; init; }

    /// <summary>How the reward was being exploited; null: it was not.</summary>
    public string? Hack { get; init; }

    /// <summary>The checkpoint to publish; null: the last one.</summary>
    public int? Chosen { get; init; }

    public RunUsage Usage { get; init; } = new();

    public Price? Price { get; init; }
}

/// <summary>A finished run's output.</summary>
/// <param name="RunId">The run.</param>
/// <param name="LabelBefore">Mean probability of the judged label before; null: there was no judge.</param>
/// <param name="LabelAfter">The same after.</param>
/// <param name="Published">Whether adapters/latest moved to this run.</param>
/// <param name="Prepared">Its prepared inputs; the base model goes with its adapter.</param>
/// <param name="Steps">Steps done: the number of its last checkpoint.</param>
public sealed record RunOutcome(string RunId, double? LabelBefore, double? LabelAfter, bool Published, PreparedRun Prepared, int Steps)
{
    /// <summary>What went too far, so that the run stopped itself; its adapter does not serve then. Null: nothing.</summary>
    public string? Alarm { get; init; }

    /// <summary>Which of its limits stopped the run; its adapter does not serve then either. Null: none.</summary>
    public string? Limit { get; init; }

    /// <summary>How the reward was being exploited, so that the run stopped; null: it was not.</summary>
    public string? Hack { get; init; }

    /// <summary>Why the run stopped before its last step; null: it did not.</summary>
    [JsonIgnore]
    public string? WhyStopped => Alarm ?? Hack ?? Limit;

    /// <summary>The checkpoint that was published, where it is not the last one.</summary>
    public int? Chosen { get; init; }

    /// <summary>The checkpoint that was published.</summary>
    [JsonIgnore]
    public int Checkpoint => Chosen ?? Steps;

    /// <summary>When it was published, by the storage's clock; fixed by the attempt that published it.</summary>
    public DateTimeOffset PublishedAt { get; init; }

    /// <summary>What the run cost.</summary>
    public RunCost? Cost { get; init; }
}

/// <summary>Input of the nightly evaluation: a UTC date, yyyy-MM-dd.</summary>
public sealed record NightlyEvaluationInput(string Date);

/// <summary>Input of SummarizeDialogues.</summary>
/// <param name="Blob">The uploaded blob's name in the container dialogues.</param>
/// <param name="ETag">Its version: a redelivery of the same version is the same orchestration.</param>
public sealed record SummarizeDialoguesInput(string Blob, string ETag);

/// <summary>Output of EvaluateLatest.</summary>
/// <param name="RunId">The run whose adapter was measured.</param>
/// <param name="Measured">The measurement.</param>
/// <param name="Fault">Why this adapter no longer serves; null: it does.</param>
public sealed record NightlyResult(string RunId, EvaluateResult Measured, string? Fault);

/// <summary>adapters/latest.json: which adapter serves, and which did.</summary>
/// <param name="RunId">The run that made it.</param>
/// <param name="Prepared">The run's inputs; the base model goes with its adapter.</param>
/// <param name="Step">The run's last checkpoint.</param>
/// <param name="PublishedAt">Since when it serves, by the storage's clock.</param>
public sealed record LatestAdapter(string RunId, PreparedRun Prepared, int Step, DateTimeOffset PublishedAt)
{
    /// <summary>The last changes, the newest last.</summary>
    public IReadOnlyList<AdapterChange> History { get; init; } = [];
}

/// <summary>An adapter came to serve.</summary>
/// <param name="RunId">The run that made it.</param>
/// <param name="At">When, by the storage's clock.</param>
/// <param name="Kind">How.</param>
public sealed record AdapterChange(string RunId, DateTimeOffset At, AdapterChangeKind Kind)
{
    /// <summary>The run whose adapter was taken back; null: none was.</summary>
    public string? TakenBack { get; init; }

    /// <summary>Why it was taken back, or by whose votes it came to serve.</summary>
    public string? Reason { get; init; }
}

/// <summary>How an adapter came to serve.</summary>
public enum AdapterChangeKind
{
    Published,
    Promoted,
    RolledBack,
}

/// <summary>How a run can end.</summary>
public enum RunEnd
{
    Finished,
    Failed,
    Cancelled,
}

/// <summary>Input of BeginNotice, Notification and SendNotice: a run has ended, and whoever its request names is told.</summary>
/// <param name="Id">Of this end, the same at every attempt to tell it.</param>
/// <param name="RunId">The run.</param>
/// <param name="End">How it ended.</param>
/// <param name="At">When.</param>
/// <param name="Reason">Why, where it did not just come to its last step.</param>
public sealed record RunNotice(string Id, string RunId, RunEnd End, DateTimeOffset At, string? Reason);

/// <summary>Input of NoteNotice: what came of a notice.</summary>
/// <param name="Notice">The notice.</param>
/// <param name="Fault">Why it was not taken; null: it was.</param>
public sealed record NotedNotice(RunNotice Notice, string? Fault);
