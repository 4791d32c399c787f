using RlhfFunctions.Contracts;

namespace RlhfFunctions.Reports;

/// <summary>A run that has published nothing: what it does, and its curves so far. While it is under way the page keeps itself up to date.</summary>
internal static class LivePage
{
    private const int MinRefreshSeconds = 2, MaxRefreshSeconds = 30;

    /// <summary>Each step done is read again at each refresh, so a long run is looked at less often.</summary>
    private const int StepsPerSecond = 20;

    /// <param name="run">The run.</param>
    /// <param name="steps">The steps it has done.</param>
    /// <param name="links">To the other pages.</param>
    public static byte[] Render(RunView run, RunSteps steps, PageLinks links)
    {
        bool isUnderWay = RunState.IsUnderWay(run.Status);
        Html header = $"""
            <h1>Run {run.RunId}</h1>
            <p class="muted">{run.Request.Model.Source} · seed {run.Request.Seed} · {run.Request.Training.Steps} steps of {run.Request.Training.Section.ToUpperInvariant()}{(run.CreatedAt is { } at ? $" · started {at.UtcDateTime:yyyy-MM-dd HH:mm} UTC" : "")}</p>
            {HistoryPage.LinkFrom(run.RunId, links)}
            """;
        Html main = $"""
            <h2 id="state" tabindex="-1">How it fares</h2>
            <div data-part="said" role="status">
            <p class="verdict">{RunState.Badge(run.Status)} {RunState.Describe(run)}</p>
            {Notices(run)}</div>
            <div data-part="figures">
            {Summary(run)}</div>
            <h2>Learning</h2>
            <p class="note">Measured on the responses of each step, before its update. A label's probability here is the reward model's own.</p>
            <div data-part="charts">
            {Charts(steps)}</div>
            <h2>Settings</h2>
            {Settings.Whole(run.Request)}
            """;
        return Page.Render($"Run {run.RunId}", links, ("state", "how it fares"), header, main, isUnderWay ? Math.Clamp(steps.Metrics.Count / StepsPerSecond, MinRefreshSeconds, MaxRefreshSeconds) : null);
    }

    private static Html Notices(RunView run)
    {
        string?[] notices =
        [
            run.Failure,
            run.Progress?.LastStep?.Alarm is { } alarm ? $"The run stops itself after an alarm. {alarm}" : null,
            run.Progress?.LastStep?.Hack is { } hack ? $"The run stops itself. {hack}" : null,
            run.Progress?.LastStep?.Limit is { } limit ? $"The run stops at its limit. {limit}" : null,
            run.Progress?.Retreat,
            run.Progress?.NothingToUnlearn,
        ];
        return $"{notices.OfType<string>().Select<string, Html>(notice => $"<p class=\"notice\">{notice}</p>\n")}";
    }

    private static Html Summary(RunView run)
    {
        if (run.Progress is not { } progress) return Html.None;
        (string Name, string? Value)[] tiles =
        [
            ($"{run.Request.Evaluation.Label} before, by the judge", Figures.Text(progress.LabelBefore, "F3")),
            ("reward", Figures.Text(progress.LastStep?.Reward, "F2")),
            ("KL, nats per response", Figures.Text(progress.LastStep?.Kl, "F2")),
            ($"{RunCharts.LabelOf(run.Request)}, by the reward", Figures.Text(progress.LastStep?.LabelProbability, "F3")),
            ("tokens per response", Figures.Text(progress.LastStep?.ResponseTokens, "F1")),
            ("tokens per second", Figures.Text(progress.LastStep?.TokensPerSecond, "N0")),
        ];
        return $"""
            <label class="muted" for="done">steps done</label>
            <progress id="done" value="{progress.Step}" max="{progress.Steps}">{progress.Step} of {progress.Steps}</progress>
            <dl class="tiles">{tiles.Where(tile => tile.Value is not null).Select<(string Name, string? Value), Html>(tile => $"""
            <div><dt>{tile.Name}</dt><dd>{tile.Value}</dd></div>

            """)}</dl>

            """;
    }

    private static Html Charts(RunSteps steps)
    {
        Html none = $"<p class=\"muted\">The first curves are here when the first step is done.</p>\n";
        return steps.Metrics.Count == 0 ? none : $"""
            <div class="charts">
            {RunCharts.Of(steps).Select((chart, i) => LineChart.Draw($"chart-{i}", chart))}</div>

            """;
    }
}
