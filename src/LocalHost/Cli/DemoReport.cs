using RlhfFunctions.Contracts;
using RlhfFunctions.Reports;
using Spectre.Console;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>The demo's last screen: what the run did, three dialogues before and after, and where to go next.</summary>
internal static class DemoReport
{
    private const string TryIt =
        "#Person1#: You are late again, Tom!\\n#Person2#: I am sorry, the bus broke down.\\n#Person1#: We missed the whole concert because of you.";

    public static void Write(IAnsiConsole console, FinishedRun run, HostOptions host, Uri address)
    {
        var report = run.Report;
        console.WriteLine();
        console.Write(Figures(report));
        console.WriteLine();
        if (report.Label is { } label)
        {
            console.Write(Responses(report, label, console.Profile.Width));
            console.WriteLine();
        }

        var stages = report.SecondsByStage;
        console.WriteLine(
            $"Seconds: prepare {stages.Prepare:F1}, rollout {stages.Rollout:F1}, update {stages.Update:F1}, evaluate {stages.Evaluate:F1}, other {stages.Other:F1}.");
        if (run.Outcome.Alarm is { } alarm) console.MarkupLineInterpolated($"[yellow]The run stopped itself after an alarm. {alarm}[/]");
        if (run.Outcome.Hack is { } hack) console.MarkupLineInterpolated($"[yellow]The run stopped itself. {hack}[/]");
        if (run.Outcome.Chosen is { } chosen) console.MarkupLineInterpolated($"[yellow]What is measured and published is checkpoint {chosen}.[/]");
        if (run.Outcome.Limit is { } limit) console.MarkupLineInterpolated($"[yellow]The run stopped at its limit. {limit}[/]");
        console.WriteLine(run.Outcome switch
        {
            { Published: true } => "adapters/latest now points to this run's adapter.",
            { Alarm: not null } => "adapters/latest was not moved: an alarm stopped the run.",
            { Limit: not null } => "adapters/latest was not moved: the run stopped at its limit.",
            _ when report.Label is { } judged =>
                $"adapters/latest was not moved: {judged} did not {(report.Direction == LabelDirection.Lower ? "fall" : "rise")}, or the summaries got worse.",
            _ => "adapters/latest was not moved: the summaries got worse.",
        });
        if (report.NothingToUnlearn is { } nothing) console.MarkupLineInterpolated($"[yellow]{nothing}[/]");
        WriteNextSteps(console, run, host, address);
    }

    private static Table Figures(EvaluationReport report)
    {
        var table = new Table().Title($"Run {Markup.Escape(report.RunId)}: seed {report.Seed}, {report.Steps} steps").Border(TableBorder.Rounded);
        table.AddColumns("held-out dialogues (95 %)", "before", "after");
        foreach (var (row, i) in Comparison.Rows(report).Select((row, i) => (row, i)))
            table.AddRow(row.Measure, row.Before, i == 0 && Improved(report) ? $"[green]{row.After}[/]" : row.After);
        return table;
    }

    private static Table Responses(EvaluationReport report, string label, int terminalWidth)
    {
        var table = new Table().Title(Markup.Escape($"Where {label} {Comparison.WantedChange(report)} most")).Border(TableBorder.Rounded).ShowRowSeparators();
        int width = Math.Clamp((terminalWidth - 7) / 2, 10, 60); // two columns, three lines and their padding
        table.AddColumns(new TableColumn("before").Width(width), new TableColumn("after").Width(width));
        foreach (var sample in Comparison.MostImproved(report).Take(3))
            table.AddRow(Response(sample.Before, sample.LabelBefore!.Value), Response(sample.After, sample.LabelAfter!.Value));
        return table;

        Markup Response(string text, double probability)
        {
            string colour = report.Direction.Undesired(probability) >= 0.5 ? "red" : "green";
            return new Markup($"[{colour}]{Markup.Escape(label)} {probability:F2}[/]\n{(string.IsNullOrWhiteSpace(text) ? "[dim](empty)[/]" : Markup.Escape(text))}");
        }
    }

    private static bool Improved(EvaluationReport report)
    {
        return report is { Before.LabelProbability: { } before, After.LabelProbability: { } after }
            && report.Direction.Undesired(after.Mean) <= report.Direction.Undesired(before.Mean);
    }

    /// <summary>Written past the console's own line breaks, so that paths and commands can be copied whole.</summary>
    private static void WriteNextSteps(IAnsiConsole console, FinishedRun run, HostOptions host, Uri address)
    {
        console.MarkupLine("\n[bold]Where to go next[/]");
        var lines = console.Profile.Out.Writer;
        lines.WriteLine($"  The report page, with curves and every dialogue:\n    {Path.Combine(run.Folder, RunFiles.Report)}");
        lines.WriteLine($"  The adapter, in PEFT format:\n    {Path.Combine(run.Folder, "adapter")}");
        lines.WriteLine($"  Ask it something. Host the functions, and in another terminal:\n    {host.StartCommand}");
        lines.WriteLine($"    curl {address}api/generate --json '{{\"runId\":\"{run.Report.RunId}\",\"dialogues\":[\"{TryIt}\"]}}'");
        lines.WriteLine("  How it works and where everything is: README.md, \"How a run goes\".");
    }
}
