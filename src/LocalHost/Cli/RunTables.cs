using System.Globalization;
using System.Text.Json.Nodes;
using RlhfFunctions.Contracts;
using Spectre.Console;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>Runs as tables and lines.</summary>
internal static class RunTables
{
    public static Table List(IReadOnlyList<RunListItem> runs)
    {
        var table = new Table().Border(TableBorder.Rounded);
        table.AddColumns("run", "state", "started (UTC)", "steps", "reward", "KL", "label before");
        foreach (var run in runs)
        {
            var progress = run.Progress;
            table.AddRow(
                Markup.Escape(run.RunId),
                State(run.Status),
                run.CreatedAt.UtcDateTime.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture),
                progress is null ? "" : $"{progress.Step} of {progress.Steps}",
                $"{progress?.LastStep?.Reward:F2}",
                $"{progress?.LastStep?.Kl:F2}",
                $"{progress?.LabelBefore:F3}");
        }

        return table;
    }

    public static Table Facts(RunView run)
    {
        var table = new Table().Border(TableBorder.Rounded).HideHeaders().AddColumns("", "");
        var progress = run.Progress;
        (string Name, string? Value)[] facts =
        [
            ("run", run.RunId),
            ("started", run.CreatedAt?.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss 'UTC'", CultureInfo.InvariantCulture)),
            ("base model", run.Request.Model.Source),
            ("seed", $"{run.Request.Seed}"),
            ("phase", progress?.Phase.ToString().ToLowerInvariant()),
            ("steps", progress is null ? null : $"{progress.Step} of {progress.Steps}"),
            ("time left", progress?.SecondsLeft is > 0 and var seconds ? TimeSpan.FromSeconds(Math.Ceiling(seconds)).ToString("c", CultureInfo.InvariantCulture) : null),
            ("reward", progress?.LastStep is { } step ? $"{step.Reward:F2}" : null),
            ("KL, nats per response", progress?.LastStep?.Kl is { } kl ? $"{kl:F2}" : null),
            ($"{run.Request.Evaluation.Label} before", (run.Outcome?.LabelBefore ?? progress?.LabelBefore) is { } before ? $"{before:F3}" : null),
            ($"{run.Request.Evaluation.Label} after", run.Outcome?.LabelAfter is { } after ? $"{after:F3}" : null),
            ("published", run.Outcome is { } end ? end.Published ? "yes" : "no" : null),
            ("alarm", run.Outcome?.Alarm ?? progress?.LastStep?.Alarm),
            ("limit", run.Outcome?.Limit ?? progress?.LastStep?.Limit),
            ("exploited", run.Outcome?.Hack ?? progress?.LastStep?.Hack),
            ("published checkpoint", run.Outcome?.Chosen is { } chosen ? $"{chosen}" : null),
            ("went back", progress?.Retreat),
            ("beware", progress?.NothingToUnlearn),
            ("failure", run.Failure),
        ];
        table.AddRow("state", State(run.Status));
        foreach (var (name, value) in facts.Where(fact => fact.Value is not null)) table.AddRow(name, Markup.Escape(value!));
        return table;
    }

    /// <summary>A step's figures in a line; what it does not tell is left out.</summary>
    public static string StepLine(JsonObject step)
    {
        (string Name, string Metric, string Format)[] figures =
        [
            ("reward", MetricNames.RewardMean, "F2"), ("KL", MetricNames.Kl, "F2"), ("label", MetricNames.LabelProbability, "F3"),
            ("tokens", MetricNames.ResponseLengthMean, "F1"), ("tokens/s", MetricNames.TokensPerSecond, "N0"),
        ];
        var told = figures.Where(figure => step.ContainsKey(figure.Metric))
            .Select(figure => $"{figure.Name} {step[figure.Metric]!.GetValue<double>().ToString(figure.Format, CultureInfo.InvariantCulture)}");
        return $"step {step["step"]!.GetValue<int>() + 1} · {string.Join(" · ", told)}";
    }

    private static string State(string status)
    {
        return status switch
        {
            "Completed" => "[green]completed[/]",
            "Failed" or "Terminated" => $"[red]{status.ToLowerInvariant()}[/]",
            _ => Markup.Escape(status.ToLowerInvariant()),
        };
    }
}
