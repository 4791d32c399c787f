using System.Text;
using RlhfFunctions.Contracts;
using RlhfFunctions.Reports;
using Spectre.Console;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>What runs of several seeds did, a row or two for each.</summary>
internal static class SeedTable
{
    /// <summary>Fits a terminal of 80 columns: a line before and a line after for each seed.</summary>
    public static Table Console(IReadOnlyList<EvaluationReport> reports)
    {
        var table = new Table().Border(TableBorder.Horizontal);
        foreach (string name in new[] { "seed", $"{Label(reports)} (95 %)", "ROUGE-L", "KL (least)", "dist-2", "tokens", "EOS" })
            table.AddColumn(new TableColumn(name).Padding(0, 2).NoWrap());
        foreach (var report in reports)
        {
            var (before, after, kl) = (report.Before, report.After, report.Kl);
            table.AddRow(Cells($"{report.Seed} before", before, "0"));
            table.AddRow(Cells($"{report.Seed} after", after, $"{kl.HeldOut.Mean:F2} ({Comparison.Floor(kl)})"));
        }

        return table;
    }

    /// <summary>A row for each seed, as the README has it.</summary>
    public static string Markdown(IReadOnlyList<EvaluationReport> reports)
    {
        var text = new StringBuilder();
        text.Append($"| seed | {Label(reports)} probability before | after | ROUGE-L | KL per response, nats | least KL | distinct word pairs | tokens | ended by themselves |\n");
        text.Append("|---|---|---|---|---|---|---|---|---|\n");
        foreach (var report in reports)
        {
            var (before, after, kl) = (report.Before, report.After, report.Kl);
            string[] cells =
            [
                $"{report.Seed}",
                Interval(before),
                Bold(Interval(after)),
                $"{before.RougeL.Mean:F3} → {after.RougeL.Mean:F3}",
                Comparison.Interval(kl.HeldOut, "F2"),
                Comparison.Floor(kl),
                $"{before.DistinctBigrams:P0} → {after.DistinctBigrams:P0}",
                $"{before.ResponseTokens.Mean:F1} → {after.ResponseTokens.Mean:F1}",
                $"{before.EndedByEos:P0} → {after.EndedByEos:P0}",
            ];
            text.Append($"| {string.Join(" | ", cells)} |\n");
        }

        return text.ToString();
    }

    private static string[] Cells(string seed, PolicyMeasurement side, string kl)
    {
        return
        [
            seed, Interval(side), $"{side.RougeL.Mean:F3}", kl, $"{side.DistinctBigrams:P0}",
            $"{side.ResponseTokens.Mean:F1}", $"{side.EndedByEos:P0}",
        ];
    }

    /// <summary>The judged label's name, the same in all: they differ by their seed alone.</summary>
    private static string Label(IReadOnlyList<EvaluationReport> reports)
    {
        return reports[0].Label ?? "label";
    }

    /// <summary>A dash where there was no judge.</summary>
    private static string Interval(PolicyMeasurement side)
    {
        return side.LabelProbability is { } label ? Comparison.Interval(label, "F3") : "–";
    }

    private static string Bold(string interval)
    {
        int end = interval.IndexOf(' ', StringComparison.Ordinal);
        return end < 0 ? interval : $"**{interval[..end]}**{interval[end..]}";
    }
}
