namespace RlhfFunctions.Reports;

/// <summary>What a policy's history is made of.</summary>
internal enum HistoryKind
{
    Votes,
    RewardModel,
    Run,
}

/// <summary>One of them.</summary>
internal sealed record HistoryItem(HistoryKind Kind, string Id);

/// <summary>A station of a policy's history.</summary>
/// <param name="Item">What it is.</param>
/// <param name="At">When it was asked for.</param>
/// <param name="From">What it was made of.</param>
/// <param name="Result">What came of it.</param>
internal sealed record HistoryStep(HistoryItem Item, DateTimeOffset At, IReadOnlyList<HistoryItem> From, string Result);

/// <summary>Votes → reward model → run → votes: where a policy comes from, and what people and later runs made of it.</summary>
internal static class HistoryPage
{
    /// <param name="runId">Whose policy.</param>
    /// <param name="steps">The oldest first.</param>
    /// <param name="links">To the other pages.</param>
    public static byte[] Render(string runId, IReadOnlyList<HistoryStep> steps, PageLinks links)
    {
        Html header = $"""
            <h1>History of run {runId}</h1>
            <p class="muted">What its policy was made of, and what was made of it, the oldest first.</p>

            """;
        Html main = $"""
            <table class="stack wide" id="steps" tabindex="-1"><thead><tr><th scope="col">station</th><th scope="col">asked for</th><th scope="col">made of</th><th scope="col">what came of it</th></tr></thead><tbody>
            {steps.Select(step => Row(step, runId, links))}</tbody></table>

            """;
        return Page.Render($"History of run {runId}", links, ("steps", "the stations"), header, main);
    }

    /// <summary>The way here from a run's page; nothing from a file, which has no other pages.</summary>
    public static Html LinkFrom(string runId, PageLinks? links)
    {
        return links is null ? Html.None : (Html)$"""
            <p><a href="{links.History(runId)}">Where this policy comes from, and what people said of it</a></p>

            """;
    }

    private static Html Row(HistoryStep step, string runId, PageLinks links)
    {
        Html self = step.Item == new HistoryItem(HistoryKind.Run, runId) ? (Html)$" <span class=\"muted\">this run</span>" : Html.None;
        return $"""
            <tr><th scope="row">{Link(step.Item, links)}{self}</th>
            <td data-label="asked for"><time datetime="{step.At.UtcDateTime:yyyy-MM-ddTHH:mm:ssZ}">{step.At.UtcDateTime:yyyy-MM-dd HH:mm} UTC</time></td>
            <td data-label="made of">{step.From.Select((item, i) => (Html)$"{(i == 0 ? "" : ", ")}{Link(item, links)}")}</td>
            <td data-label="what came of it">{step.Result}</td></tr>

            """;
    }

    private static Html Link(HistoryItem item, PageLinks links)
    {
        return item.Kind switch
        {
            HistoryKind.Votes => (Html)$"<a href=\"{links.Votes(item.Id)}\">votes {item.Id}</a>",
            HistoryKind.RewardModel => (Html)$"<a href=\"{links.Reward(item.Id)}\">reward model {item.Id}</a>",
            _ => (Html)$"<a href=\"{links.Run(item.Id)}\">run {item.Id}</a>",
        };
    }
}
