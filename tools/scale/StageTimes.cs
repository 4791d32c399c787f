using System.Text.Json;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Scale;

/// <summary>How long each stage takes on one replica, and how much it moves. Seconds and bytes; a file in stages/, or read from a run.</summary>
public sealed record StageTimes
{
    /// <summary>The model and the replica.</summary>
    public required string Name { get; init; }

    /// <summary>Where, when and how the numbers were measured; or that they were not.</summary>
    public required string Source { get; init; }

    /// <summary>One more token for all sequences under way, whatever their number: the weights are read, kernels are launched.</summary>
    public double DecodeStepSeconds { get; init; }

    /// <summary>Each token of each sequence, beside that.</summary>
    public double TokenSeconds { get; init; }

    /// <summary>Each response, beside its tokens: its prompt is read, it is scored.</summary>
    public double SampleSeconds { get; init; }

    /// <summary>Sequences that a replica keeps under way.</summary>
    public int SequencesAtOnce { get; init; } = 64;

    /// <summary>Forward and backward for a sample, in every epoch.</summary>
    public double UpdateSampleSeconds { get; init; }

    /// <summary>A step of the optimizer.</summary>
    public double OptimizerStepSeconds { get; init; }

    /// <summary>An activity, beside what it computes and moves.</summary>
    public double ActivitySeconds { get; init; }

    /// <summary>From the last answer of a fan-out to the first message of the next.</summary>
    public double OrchestrationSeconds { get; init; }

    /// <summary>What a replica that is new loads before its first activity.</summary>
    public double ModelBytes { get; init; }

    /// <summary>Adapter, value head and their moments.</summary>
    public double CheckpointBytes { get; init; }

    /// <summary>The gradient that a shard of an update hands on.</summary>
    public double GradientBytes { get; init; }

    /// <summary>The rollout of one sample.</summary>
    public double RolloutBytesPerSample { get; init; }

    /// <summary>Of one replica to storage and back.</summary>
    public double ReplicaBytesPerSecond { get; init; }

    /// <summary>Pull and start of a replica, at least.</summary>
    public double ColdStartLow { get; init; }

    /// <summary>The same, at most.</summary>
    public double ColdStartHigh { get; init; }

    public static StageTimes Read(string file)
    {
        return JsonSerializer.Deserialize<StageTimes>(File.ReadAllBytes(file), ContractsJson.Strict)
            ?? throw new JsonException($"{file} is null.");
    }

    /// <summary>
    /// The stages of a run whose shards did not wait for one another. A run has one size, so its tokens' seconds hold for shards like its own:
    /// what does not depend on their number is in them. What it does not tell is taken from <paramref name="rest"/>.
    /// </summary>
    /// <param name="report">Its evaluation.json.</param>
    /// <param name="metrics">Its metrics.jsonl, one step each.</param>
    /// <param name="request">Its request.</param>
    /// <param name="rest">Bytes and cold starts.</param>
    public static StageTimes FromRun(
        EvaluationReport report, IReadOnlyList<IReadOnlyDictionary<string, double>> metrics, RunRequest request, StageTimes rest)
    {
        double samples = request.Training.BatchSize;
        // Tokens of all shards over the slowest's seconds: a shard's own tokens are a share of them.
        double shardTokenSeconds = Median(metrics, step => request.Compute.RolloutShards / step[MetricNames.TokensPerSecond]);
        double tokens = Median(metrics, step => step[MetricNames.ResponseLengthMean] * samples / request.Compute.RolloutShards);
        double optimize = Median(metrics, step => step[MetricNames.UpdateSeconds]);
        double rollout = report.SecondsByStage.Rollout / report.Steps, update = report.SecondsByStage.Update / report.Steps;
        return rest with
        {
            Name = report.RunId,
            Source = $"evaluation.json and metrics.jsonl of the run {report.RunId}: medians of {report.Steps} steps",
            DecodeStepSeconds = 0,
            TokenSeconds = shardTokenSeconds,
            SampleSeconds = 0,
            UpdateSampleSeconds = optimize / (samples * request.Training.Epochs),
            OptimizerStepSeconds = 0,
            ActivitySeconds = Math.Max(0, (rollout - (tokens * shardTokenSeconds) + update - optimize) / 2),
        };
    }

    private static double Median(IEnumerable<IReadOnlyDictionary<string, double>> metrics, Func<IReadOnlyDictionary<string, double>, double> value)
    {
        double[] sorted = [.. metrics.Select(value).Order()];
        return sorted[sorted.Length / 2];
    }
}

/// <summary>A run's files, as the demo writes them and as they lie under runs/{id}.</summary>
public static class RunFolder
{
    /// <inheritdoc cref="StageTimes.FromRun"/>
    public static StageTimes Read(string folder, string request, StageTimes rest)
    {
        return StageTimes.FromRun(
            JsonSerializer.Deserialize<EvaluationReport>(File.ReadAllBytes(Path.Combine(folder, RunFiles.Evaluation)), ContractsJson.Options)!,
            [.. File.ReadLines(Path.Combine(folder, RunFiles.Metrics)).Select(line => JsonSerializer.Deserialize<Dictionary<string, double>>(line, ContractsJson.Options)!)],
            JsonSerializer.Deserialize<RunRequest>(File.ReadAllBytes(request), ContractsJson.Options)!,
            rest);
    }
}
