using System.Text.Json;
using System.Text.Json.Serialization;

namespace RlhfFunctions.Ml.Learning;

/// <summary>
/// How far a step's update has come, and the statistics of its mini-batches. As in TRL their means weigh every mini-batch of every
/// epoch the same; skipped ones don't count.
/// </summary>
public sealed class UpdateLog
{
    /// <summary>Lies beside the checkpoint's files while an update that is split is under way.</summary>
    public const string FileName = "update.json";

    private static readonly JsonSerializerOptions Json = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    private readonly List<IReadOnlyDictionary<string, double>> _metrics = [];
    private readonly List<float[]> _advantages = [];
    private readonly List<float[]> _ratios = [];

    /// <summary>Steps of the optimizer that were made, those included that moved nothing.</summary>
    public int OptimizerSteps { get; internal set; }

    /// <summary>Mini-batches that moved nothing.</summary>
    public int Skipped { get; internal set; }

    /// <summary>Largest mean ratio of a mini-batch, skipped ones included; ∞ where one was not a number.</summary>
    public double LargestRatio { get; private set; }

    /// <summary>What the update has taken so far.</summary>
    public double Seconds { get; set; }

    /// <summary>The latest mini-batch's metrics; null before the first.</summary>
    internal IReadOnlyDictionary<string, double>? Latest => _metrics.LastOrDefault();

    /// <summary>Advantages of all tokens learned from since the update was last taken up, mini-batch by mini-batch.</summary>
    internal float[] Advantages => [.. _advantages.SelectMany(tokens => tokens)];

    /// <summary>Their ratios.</summary>
    internal float[] Ratios => [.. _ratios.SelectMany(tokens => tokens)];

    /// <summary>The log of an update that goes on.</summary>
    /// <exception cref="InvalidDataException">These bytes are no such log.</exception>
    public static UpdateLog Read(ReadOnlySpan<byte> bytes)
    {
        var numbers = JsonSerializer.Deserialize<Numbers>(bytes, Json) ?? throw new InvalidDataException($"{FileName} is empty.");
        var log = new UpdateLog
        {
            OptimizerSteps = numbers.OptimizerSteps,
            Skipped = numbers.Skipped,
            LargestRatio = numbers.LargestRatio,
            Seconds = numbers.Seconds,
        };
        log._metrics.AddRange(numbers.Metrics);
        return log;
    }

    /// <summary>What <see cref="Read"/> reads: all but advantages and ratios.</summary>
    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(new Numbers(OptimizerSteps, Skipped, LargestRatio, Seconds, _metrics), Json);

    /// <summary>Notes what came of a mini-batch.</summary>
    internal void Add(Loss loss, bool isLearned)
    {
        LargestRatio = Math.Max(LargestRatio, double.IsNaN(loss.MeanRatio) ? double.PositiveInfinity : loss.MeanRatio);
        if (!isLearned)
        {
            Skipped++;
            return;
        }
        _metrics.Add(loss.Metrics);
        _advantages.Add(loss.Advantages);
        _ratios.Add(loss.Ratios);
    }

    /// <summary>Means by metric name over the mini-batches that have the number (one token has no variance).</summary>
    internal IEnumerable<KeyValuePair<string, double>> Means() => _metrics.SelectMany(metrics => metrics).GroupBy(
        metric => metric.Key,
        metric => metric.Value,
        (name, values) => KeyValuePair.Create(name, values.Where(double.IsFinite).DefaultIfEmpty(double.NaN).Average()));

    private sealed record Numbers(int OptimizerSteps, int Skipped, double LargestRatio, double Seconds, IReadOnlyList<IReadOnlyDictionary<string, double>> Metrics);
}
