using RlhfFunctions.Contracts;

namespace RlhfFunctions.Reports;

/// <summary>The list of runs, from which some can be chosen and compared.</summary>
internal static class RunsPage
{
    /// <param name="runs">In the order they are shown.</param>
    /// <param name="links">To the other pages.</param>
    public static byte[] Render(IReadOnlyList<RunListItem> runs, PageLinks links)
    {
        Html header = $"""
            <h1>Runs</h1>
            <p class="muted">{(runs.Count == 0 ? "There are none yet." : $"{runs.Count}, the newest first.")}</p>

            """;
        Html none = $"""
            <p id="runs" tabindex="-1">POST /api/runs starts one; samples/demo.json is a request to begin with.</p>

            """;
        return Page.Render("Runs", null, ("runs", "the list"), header, runs.Count == 0 ? none : Table(runs, links));
    }

    private static Html Table(IReadOnlyList<RunListItem> runs, PageLinks links)
    {
        return $"""
            <form action="{PageLinks.Comparison}" method="get">
            {(links.Code is { } code ? $"""<input type="hidden" name="code" value="{code}"/>""" : Html.None)}
            <table class="stack wide" id="runs" tabindex="-1"><thead><tr><th scope="col">run</th><th scope="col">state</th><th scope="col">started</th><th scope="col">steps</th><th scope="col">reward</th><th scope="col">KL</th><th scope="col">label before</th><th scope="col">compare</th></tr></thead><tbody>
            {runs.Select(run => Row(run, links))}</tbody></table>
            <p class="muted">KL and reward are those of the last step; label before is the judge's mean probability of the run's judged label on the held-out dialogues.</p>
            <p><button type="submit">Compare the chosen</button></p>
            </form>

            """;
    }

    private static Html Row(RunListItem run, PageLinks links)
    {
        var progress = run.Progress;
        return $"""
            <tr><th scope="row"><a href="{links.Run(run.RunId)}">{run.RunId}</a></th>
            <td data-label="state">{RunState.Badge(run.Status)}</td>
            <td data-label="started"><time datetime="{run.CreatedAt.UtcDateTime:yyyy-MM-ddTHH:mm:ssZ}">{run.CreatedAt.UtcDateTime:yyyy-MM-dd HH:mm} UTC</time></td>
            <td data-label="steps">{(progress is null ? "" : $"{progress.Step} of {progress.Steps}")}</td>
            <td data-label="reward">{Figures.Text(progress?.LastStep?.Reward, "F2")}</td>
            <td data-label="KL">{Figures.Text(progress?.LastStep?.Kl, "F2")}</td>
            <td data-label="label before">{Figures.Text(progress?.LabelBefore, "F3")}</td>
            <td data-label=""><label class="pick"><input type="checkbox" name="run" value="{run.RunId}" aria-label="Compare {run.RunId}"/><span aria-hidden="true">compare</span></label></td></tr>

            """;
    }
}
