using System.Text;
using RlhfFunctions.Contracts;
using Spectre.Console;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>What several algorithms made of the same seeds: means over the seeds, and of the label the least and the most.</summary>
internal static class AlgorithmTable
{
    private static readonly string[] Columns = ["algorithm", "probability before", "after (least to most)", "ROUGE-L", "KL, nats", "tokens", "seconds a run"];

    public static Table Console(IReadOnlyList<(AlgorithmName Algorithm, IReadOnlyList<EvaluationReport> Reports)> rows)
    {
        var table = new Table().Border(TableBorder.Horizontal);
        foreach (string column in Columns) table.AddColumn(new TableColumn(column).NoWrap());
        foreach (var (algorithm, reports) in rows) table.AddRow(Cells(algorithm, reports));
        return table;
    }

    public static string Markdown(IReadOnlyList<(AlgorithmName Algorithm, IReadOnlyList<EvaluationReport> Reports)> rows)
    {
        var text = new StringBuilder();
        text.Append($"| {string.Join(" | ", Columns)} |\n|{string.Concat(Enumerable.Repeat("---|", Columns.Length))}\n");
        foreach (var (algorithm, reports) in rows) text.Append($"| {string.Join(" | ", Cells(algorithm, reports))} |\n");
        return text.ToString();
    }

    private static string[] Cells(AlgorithmName algorithm, IReadOnlyList<EvaluationReport> reports)
    {
        double Mean(Func<EvaluationReport, double> of) => reports.Average(of);
        var after = reports.Select(report => report.After.LabelProbability?.Mean).OfType<double>().ToList();
        return
        [
            algorithm.ToString().ToUpperInvariant(),
            reports.Average(report => report.Before.LabelProbability?.Mean) is { } before ? $"{before:F3}" : "–",
            after.Count > 0 ? $"{after.Average():F3} ({after.Min():F3} to {after.Max():F3})" : "–",
            $"{Mean(report => report.Before.RougeL.Mean):F3} → {Mean(report => report.After.RougeL.Mean):F3}",
            $"{Mean(report => report.Kl.HeldOut.Mean):F2}",
            $"{Mean(report => report.Before.ResponseTokens.Mean):F1} → {Mean(report => report.After.ResponseTokens.Mean):F1}",
            $"{Mean(report => Seconds(report.SecondsByStage)):F0}",
        ];
    }

    private static double Seconds(SecondsByStage stages)
    {
        return stages.Prepare + stages.Rollout + stages.Update + stages.Evaluate + stages.Other;
    }
}
