using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Evaluation;

namespace RlhfFunctions.Reports;

/// <summary>A measure of the policy before and after, as people read it.</summary>
internal sealed record ComparisonRow(string Measure, string Before, string After);

/// <summary>What a run did, the same on the report page and in the demo's last screen.</summary>
internal static class Comparison
{
    /// <summary>Every measure, with 95 % intervals by dialogue where it has one.</summary>
    public static IReadOnlyList<ComparisonRow> Rows(EvaluationReport report)
    {
        var (before, after, kl) = (report.Before, report.After, report.Kl);
        return
        [
            .. before.LabelProbability is { } p && after.LabelProbability is { } q
                ? [new($"{report.Label} probability", Interval(p, "F3"), Interval(q, "F3"))] : Array.Empty<ComparisonRow>(),
            new("ROUGE-L", Interval(before.RougeL, "F3"), Interval(after.RougeL, "F3")),
            new("KL per response, nats", "0", Interval(kl.HeldOut, "F2")),
            .. FloorInterval(report) is { } floor
                ? [new("least KL for this change", "", FloorWithInterval(report.Kl, floor))] : Array.Empty<ComparisonRow>(),
            .. kl.Mean is null ? Array.Empty<ComparisonRow>() : [new("KL in training", "0", $"mean {kl.Mean:F2}, last {kl.Last:F2}")],
            new("tokens per response", Interval(before.ResponseTokens, "F1"), Interval(after.ResponseTokens, "F1")),
            new("distinct responses", $"{before.DistinctResponses:P0}", $"{after.DistinctResponses:P0}"),
            new("distinct word pairs", $"{before.DistinctBigrams:P0}", $"{after.DistinctBigrams:P0}"),
            new("ended by themselves", $"{before.EndedByEos:P0}", $"{after.EndedByEos:P0}"),
        ];
    }

    /// <summary>Which way the judged label should go.</summary>
    public static string WantedChange(EvaluationReport report)
    {
        return report.Direction == LabelDirection.Lower ? "fell" : "rose";
    }

    /// <summary>The dialogues in which the judged label went the right way, the greatest change first; none where there was no judge.</summary>
    public static IEnumerable<SummarySample> MostImproved(EvaluationReport report)
    {
        double? Gain(SummarySample sample) => report.Direction == LabelDirection.Lower
            ? sample.LabelBefore - sample.LabelAfter
            : sample.LabelAfter - sample.LabelBefore;
        return report.Samples.Where(sample => Gain(sample) > 0).OrderByDescending(Gain);
    }

    /// <summary>Mean and 95 % interval.</summary>
    public static string Interval(MetricSummary metric, string format)
    {
        return $"{metric.Mean.ToString(format)} ({metric.Low.ToString(format)} – {metric.High.ToString(format)})";
    }

    /// <summary>The least KL that the change of the judged label's mean probability costs.</summary>
    public static string Floor(KlSummary kl)
    {
        return kl.Floor is { } floor ? $"{floor:F2}" : "unbounded";
    }

    /// <summary>What to say where a KL was measured that is less than there can be, or null: both are means of samples.</summary>
    public static string? Doubt(EvaluationReport report)
    {
        if (report.Kl.Floor is not { } floor || FloorInterval(report) is not { } interval || report.Kl.HeldOut.Mean >= floor) return null;
        return report.Kl.HeldOut.High >= interval.Low
            ? "The KL measured is below the least there can be, but by no more than chance allows: their intervals overlap."
            : "The KL measured is below the least there can be, by more than its intervals allow. One of the two was measured on too few samples, "
                + "or the responses were cut off: raise data.testRows or evaluation.samplesPerDialogue before you rely on either.";
    }

    /// <summary>The same, with an interval from the near to the far ends of the judge's.</summary>
    private static string FloorWithInterval(KlSummary kl, (double Low, double High) interval)
    {
        string end = double.IsFinite(interval.High) ? $"{interval.High:F2}" : "∞";
        return kl.Floor is null ? Floor(kl) : $"{Floor(kl)} ({interval.Low:F2} – {end})";
    }

    /// <summary>Null where there was no judge.</summary>
    private static (double Low, double High)? FloorInterval(EvaluationReport report)
    {
        if (report is not { Before.LabelProbability: { } p, After.LabelProbability: { } q }) return null;
        bool fell = q.Mean <= p.Mean;
        double low = (fell ? q.High >= p.Low : q.Low <= p.High) ? 0 : fell ? KlFloor.Of(p.Low, q.High) : KlFloor.Of(p.High, q.Low);
        return (low, fell ? KlFloor.Of(p.High, q.Low) : KlFloor.Of(p.Low, q.High));
    }
}
