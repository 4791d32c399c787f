using RlhfFunctions.Contracts;

namespace RlhfFunctions.Reports;

/// <summary>Several runs side by side: what they came to, their curves over each other, and the settings in which they differ.</summary>
internal static class ComparePage
{
    /// <summary>Runs that a chart can tell apart.</summary>
    public const int MaxRuns = LineChart.MaxLines;

    /// <param name="runs">At most <see cref="MaxRuns"/>, with the steps they have done, in the order they are shown.</param>
    /// <param name="links">To the other pages.</param>
    public static byte[] Render(IReadOnlyList<(RunView View, RunSteps Steps)> runs, PageLinks links)
    {
        Html header = $"""
            <h1>Comparison of runs</h1>
            <p class="muted">{string.Join(", ", runs.Select(run => run.View.RunId))}</p>

            """;
        Html charts = $"{RunCharts.Of([.. runs.Select(run => run.Steps)]).Select((chart, i) => LineChart.Draw($"chart-{i}", chart))}";
        Html main = runs.Count == 0
            ? (Html)$"<p id=\"figures\" tabindex=\"-1\">No run is chosen. Choose some in the <a href=\"{links.Runs}\">list of runs</a>.</p>\n"
            : $"""
            <h2 id="figures" tabindex="-1">What they came to</h2>
            {Summary(runs, links)}<h2>Learning</h2>
            <p class="note">Measured on the responses of each step, before its update. A label's probability here is the reward model's own.</p>
            <div class="charts">
            {charts}</div>
            <h2>Settings in which they differ</h2>
            {Differences([.. runs.Select(run => run.View)])}
            """;
        return Page.Render("Comparison of runs", links, ("figures", "the figures"), header, main);
    }

    private static Html Summary(IReadOnlyList<(RunView View, RunSteps Steps)> runs, PageLinks links)
    {
        return $"""
            <div class="scroll" tabindex="0" role="region" aria-labelledby="figures"><table class="stack wide"><thead><tr><th scope="col">run</th><th scope="col">state</th><th scope="col">steps</th><th scope="col">label before</th><th scope="col">label after</th><th scope="col">last reward</th><th scope="col">last KL</th><th scope="col">published</th></tr></thead><tbody>
            {runs.Select<(RunView View, RunSteps Steps), Html>(run => $"""
            <tr><th scope="row"><a href="{links.Run(run.View.RunId)}">{run.View.RunId}</a></th>
            <td data-label="state">{RunState.Badge(run.View.Status)}</td>
            <td data-label="steps">{run.Steps.Metrics.Count}</td>
            <td data-label="label before">{Figures.Text(run.View.Outcome?.LabelBefore ?? run.View.Progress?.LabelBefore, "F3")}</td>
            <td data-label="label after">{Figures.Text(run.View.Outcome?.LabelAfter, "F3")}</td>
            <td data-label="last reward">{Figures.Text(Last(run.Steps, MetricNames.RewardMean), "F2")}</td>
            <td data-label="last KL">{Figures.Text(Last(run.Steps, MetricNames.Kl), "F2")}</td>
            <td data-label="published">{(run.View.Outcome is { } outcome ? outcome.Published ? "yes" : "no" : "")}</td></tr>

            """)}</tbody></table></div>

            """;
    }

    private static Html Differences(IReadOnlyList<RunView> runs)
    {
        var settings = Settings.Differences([.. runs.Select(run => run.Request)]);
        return settings.Count == 0 ? (Html)$"<p>None: they were asked for alike.</p>\n" : $"""
            <div class="scroll" tabindex="0" role="region" aria-label="Settings in which the runs differ"><table class="stack"><thead><tr><th scope="col">setting</th>{runs.Select<RunView, Html>(run => $"<th scope=\"col\">{run.RunId}</th>")}</tr></thead><tbody>
            {settings.Select<(string Path, string[] Values), Html>(setting => $"<tr><th scope=\"row\">{setting.Path}</th>{setting.Values.Zip(runs).Select<(string Value, RunView Run), Html>(cell => $"<td data-label=\"{cell.Run.RunId}\">{cell.Value}</td>")}</tr>\n")}</tbody></table></div>

            """;
    }

    private static double? Last(RunSteps run, string metric)
    {
        return run.Metrics.LastOrDefault(step => step.ContainsKey(metric))?[metric]?.GetValue<double>();
    }
}
