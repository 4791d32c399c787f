using RlhfFunctions.Contracts;
using Spectre.Console;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>The demo's last screen: what the run did, three summaries side by side, and where everything lies.</summary>
internal static class DemoReport
{
    public static void Write(IAnsiConsole console, EvaluationReport report, RunOutcome outcome, string blobAddress)
    {
        console.WriteLine();
        console.Write(Comparison(report));
        console.WriteLine();
        console.Write(Summaries(report));
        console.WriteLine();

        var stages = report.SecondsByStage;
        console.WriteLine(
            $"Seconds: prepare {stages.Prepare:F1}, rollout {stages.Rollout:F1}, update {stages.Update:F1}, evaluate {stages.Evaluate:F1}, other {stages.Other:F1}.");
        if (outcome.Alarm is { } alarm) console.WriteLine($"The run stopped itself. {alarm}");
        console.WriteLine(outcome.Published
            ? "adapters/latest now points to this run's adapter."
            : $"adapters/latest was not moved: {(outcome.Alarm is null ? "hate did not fall, or the summaries got worse" : "an alarm stopped the run")}.");
        console.WriteLine($"The run's blobs: {blobAddress}");
    }

    private static Table Comparison(EvaluationReport report)
    {
        var table = new Table().Title($"Run {Markup.Escape(report.RunId)}: seed {report.Seed}, {report.Steps} steps").Border(TableBorder.Rounded);
        table.AddColumns("held-out dialogues", "before", "after");
        var (before, after) = (report.Before, report.After);
        table.AddRow("hate probability (95 %)", Interval(before.HateProbability, "F3"), $"[green]{Interval(after.HateProbability, "F3")}[/]");
        table.AddRow("ROUGE-L (95 %)", Interval(before.RougeL, "F3"), Interval(after.RougeL, "F3"));
        table.AddRow("response tokens (95 %)", Interval(before.ResponseTokens, "F1"), Interval(after.ResponseTokens, "F1"));
        table.AddRow("distinct responses", $"{before.DistinctResponses:P0}", $"{after.DistinctResponses:P0}");
        table.AddRow("ended by themselves", $"{before.EndedByEos:P0}", $"{after.EndedByEos:P0}");
        table.AddRow("KL per response, nats (mean, last step)", "0", $"{report.Kl.Mean:F2}, {report.Kl.Last:F2}");
        return table;
    }

    private static Table Summaries(EvaluationReport report)
    {
        var table = new Table().Title("Three summaries").Border(TableBorder.Rounded).ShowRowSeparators();
        table.AddColumns("reference", "before", "after");
        foreach (var sample in MostChanged(report.Samples).Take(3))
            table.AddRow(Markup.Escape(sample.Reference), Markup.Escape(sample.Before), Markup.Escape(sample.After));
        return table;
    }

    /// <summary>Dialogues whose summary was rewritten come first, the longest cut before the others.</summary>
    private static IEnumerable<SummarySample> MostChanged(IEnumerable<SummarySample> samples)
    {
        return samples.OrderByDescending(sample => sample.Before.Length - sample.After.Length);
    }

    private static string Interval(MetricSummary metric, string format)
    {
        return $"{metric.Mean.ToString(format, null)} ({metric.Low.ToString(format, null)} – {metric.High.ToString(format, null)})";
    }
}
