using RlhfFunctions.Contracts;

namespace RlhfFunctions.Ml.Learning;

/// <summary>What a run's watch remembers from step to step; a part of its checkpoint, so that a run that is resumed is watched as if it had never stopped.</summary>
public sealed record HackWatch
{
    /// <summary>Steps that are taken for the beginning: in the second the policy has hardly moved, and two are less noisy than one.</summary>
    private const int FirstSteps = 2;

    /// <summary>Before the first step.</summary>
    public static HackWatch Start { get; } = new();

    /// <summary>The run's first steps.</summary>
    public WatchSums? First { get; init; }

    /// <summary>The steps since it was last looked.</summary>
    public WatchSums? Since { get; init; }

    /// <summary>How often in a row a sign was seen.</summary>
    public int InARow { get; init; }

    /// <summary>The best checkpoint without a sign; null: it has not been looked at one yet.</summary>
    public int? Best { get; init; }

    /// <summary>What the judge saw there of what is not wanted, by which it is the best; null: there is no judge.</summary>
    public double? LeastUndesired { get; init; }

    /// <summary>The length-controlled gain there, by which it is the best where there is no judge.</summary>
    public double? BestGain { get; init; }

    /// <summary>Why the run should stop; null: it should not.</summary>
    public string? Hack { get; init; }

    /// <summary>What a step's metrics tell of what is looked at.</summary>
    public IEnumerable<KeyValuePair<string, double>> MetricsOf(WatchSums step)
    {
        (string Name, double? Value)[] metrics =
        [
            (MetricNames.WatchedUndesired, step.MeanUndesired),
            (MetricNames.WatchedDistinct, step.DistinctBigrams),
            (MetricNames.WatchedPerplexity, step.ReferencePerplexity),
            (MetricNames.WatchedDisagreement, step.MeanDisagreement),
            (MetricNames.WatchedLengthControlled, First is null ? null : HackSigns.LengthControlledGain(First, step)),
        ];
        return metrics.Where(metric => metric.Value is not null).Select(metric => KeyValuePair.Create(metric.Name, metric.Value!.Value));
    }

    /// <summary>Looks at a step.</summary>
    /// <param name="step">The step, from 0; its samples are those of the checkpoint of this number.</param>
    /// <param name="sums">Its sums.</param>
    /// <param name="settings">When to look, and the limits.</param>
    /// <param name="minToUnlearn">As in <see cref="HackSigns.Find"/>.</param>
    public HackWatch After(int step, WatchSums sums, WatchSettings settings, double minToUnlearn)
    {
        if (First is null || First.Steps < FirstSteps)
            return this with { First = First is null ? sums : First + sums };
        var since = Since is null ? sums : Since + sums;
        if (since.Steps < settings.EverySteps)
            return this with { Since = since };

        var signs = HackSigns.Find(First, since, settings, minToUnlearn, LeastUndesired);
        var looked = this with { Since = null, InARow = signs.Count > 0 && HackSigns.HasRisen(First, since) ? InARow + 1 : 0 };
        if (signs.Count == 0)
        {
            var (undesired, gain) = (since.MeanUndesired, HackSigns.LengthControlledGain(First, since));
            var isBest = Best is null || (undesired is null ? gain > BestGain : undesired < LeastUndesired);
            return isBest ? looked with { Best = step, LeastUndesired = undesired, BestGain = gain } : looked;
        }
        return looked.InARow < settings.Patience ? looked : looked with
        {
            Hack = FormattableString.Invariant($"Step {step}: the reward is being exploited. It has risen by {HackSigns.Gain(First, since):F1} of its deviations, but ")
                + $"{string.Join(", and ", signs)}. Checkpoint {looked.Best ?? 0} is the best without such a sign. Mend the reward, or allow more.",
        };
    }
}
