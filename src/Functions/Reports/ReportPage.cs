using System.Text.Json.Nodes;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Reports;

/// <summary>What a run did: report.html, and the page of a finished run. It needs nothing but itself.</summary>
internal static class ReportPage
{
    /// <summary>Dialogues listed one by one; evaluation.json holds the others.</summary>
    private const int MaxDialogues = 200;

    private const int Highlights = 3;

    /// <param name="report">The evaluation.</param>
    /// <param name="metrics">One object a step, by the metrics' names.</param>
    /// <param name="request">The run's settings.</param>
    /// <param name="published">Whether adapters/latest moved to this run.</param>
    /// <param name="links">Where its files and the other pages are; null: this is report.html, and its files lie beside it.</param>
    /// <returns>UTF-8; equal arguments give equal bytes.</returns>
    public static byte[] Render(EvaluationReport report, IReadOnlyList<JsonObject> metrics, RunRequest request, bool published, PageLinks? links = null)
    {
        Html header = $"""
            <h1>Run {report.RunId}</h1>
            <p class="muted">{request.Model.Source} · seed {report.Seed} · {report.Steps} steps of {request.Training.Section.ToUpperInvariant()} · {Seconds(report.SecondsByStage)}</p>
            {Verdict(report, request, published)}{HistoryPage.LinkFrom(report.RunId, links)}
            """;
        Html main = $"""
            <h2 id="figures" tabindex="-1">Before and after</h2>
            {Figures(report)}<h2>Learning</h2>
            <p class="note">Measured on the responses of each step, before its update. A label's probability here is the reward model's own.</p>
            <div class="charts">
            {RunCharts.Of(new RunSteps(report.RunId, request, metrics)).Select((chart, i) => LineChart.Draw($"chart-{i}", chart))}</div>
            {Improved(report)}{StillUndesired(report)}<h2>All held-out dialogues</h2>
            {AllDialogues(report)}<h2>Settings</h2>
            {Settings.Whole(request)}<h2>Files</h2>
            {Files(report.RunId, links)}
            """;
        return Page.Render($"Run {report.RunId}: what it unlearned", links, ("figures", "the figures"), header, main);
    }

    private static Html Files(string runId, PageLinks? links)
    {
        (string Name, string What)[] files =
        [
            (RunFiles.AdapterWeights, "the weights of the adapter"), (RunFiles.AdapterConfig, "its configuration; PEFT reads a folder with both"),
            (RunFiles.Evaluation, "the figures of this page"), (RunFiles.Samples, "every held-out sample, before and after"),
            (RunFiles.Metrics, "all metrics, a line a step"), (RunFiles.Events, "the same for TensorBoard"),
        ];
        return $"""
            <ul>{files.Select<(string Name, string What), Html>(file => $"""
            <li><a href="{links?.File(runId, file.Name) ?? file.Name}">{file.Name}</a>: {file.What}</li>

            """)}</ul>

            """;
    }

    private static Html Improved(EvaluationReport report)
    {
        if (report.Label is not { } label) return Html.None;
        var improved = Comparison.MostImproved(report).Take(Highlights).ToList();
        Html title = $"<h2>Where {label} {Comparison.WantedChange(report)} most</h2>\n";
        return improved.Count == 0 ? (Html)$"{title}<p>In no dialogue {label} {Comparison.WantedChange(report)}.</p>\n" : $"""
            {title}<div class="cards">
            {improved.Select(sample => Card(report, sample))}</div>

            """;
    }

    private static Html StillUndesired(EvaluationReport report)
    {
        if (report.Label is not { } label) return Html.None;
        bool isLower = report.Direction == LabelDirection.Lower;
        var (likely, highest) = isLower ? ("likely", "highest") : ("unlikely", "lowest");
        var samples = report.Samples.Where(sample => sample.LabelAfter is not null).ToList();
        var worst = samples.OrderByDescending(sample => report.Direction.Undesired(sample.LabelAfter!.Value)).ToList();
        var undesired = worst.Where(sample => IsUndesired(report, sample.LabelAfter!.Value)).ToList();
        Html title = $"<h2>Where {label} is still {likely}</h2>\n";
        double worstProbability = worst.Count > 0 ? worst[0].LabelAfter!.Value : 0;
        return undesired.Count == 0
            ? (Html)$"{title}<p>Nowhere: of the {samples.Count} responses that are shown, the judge finds {label} {likely} in none; its {highest} probability is {worstProbability:F2}.</p>\n"
            : $"""
            {title}<p class="note">{undesired.Count} of the {samples.Count} responses that are shown: those in which the judge finds {label} more {likely} than not{(undesired.Count > Highlights ? $", the {Highlights} worst here" : "")}.</p>
            <div class="cards">
            {undesired.Take(Highlights).Select(sample => Card(report, sample))}</div>

            """;
    }

    private static bool IsUndesired(EvaluationReport report, double probability)
    {
        return report.Direction.Undesired(probability) >= 0.5;
    }

    private static Html Verdict(EvaluationReport report, RunRequest request, bool published)
    {
        Html notice = report.NothingToUnlearn is { } nothing ? $"<p class=\"notice\" role=\"note\">{nothing}</p>\n" : Html.None;
        Html stopped = report.Alarm is { } alarm ? $"<p class=\"notice\" role=\"note\">The run stopped itself after an alarm. {alarm}</p>\n"
            : report.Hack is { } hack
                ? $"<p class=\"notice\" role=\"note\">The run stopped itself. {hack}{(report.Chosen is { } chosen ? $" What is measured and published here is checkpoint {chosen}, after so many steps." : "")}</p>\n"
            : report.Limit is { } limit ? $"<p class=\"notice\" role=\"note\">The run stopped at its limit, before its last step. {limit}</p>\n" : Html.None;
        string change = report.Direction == LabelDirection.Lower ? "fall" : "rise";
        string latest = published
            ? "adapters/latest points to this run's adapter, unless a later run moved it on."
            : report.Alarm is not null ? "adapters/latest was not moved here, since an alarm stopped the run."
            : report.Limit is not null ? "adapters/latest was not moved here, since the run stopped at its limit."
            : request.Evaluation.MinHumanWinRate is { } least ? $"adapters/latest was not moved here: people decide. Let a campaign compare the run with what serves, and promote it by that: at least {least:P0} of their votes, by the lower end of the interval, must be for it."
            : $"adapters/latest was not moved here: {(report.Label is { } label ? $"{label} must {change}, and " : "")}ROUGE-L must keep {request.Evaluation.MinRougeShare:P0} of what it was.";
        Html verdict = report is { Before.LabelProbability: { } before, After.LabelProbability: { } after }
            ? (Html)$"Probability of {report.Label} <strong>{before.Mean:F3}</strong> before, <strong>{after.Mean:F3}</strong> after: mean over {after.Count} held-out dialogues, by a judge that is not the reward."
            : $"No judge measured a label. ROUGE-L <strong>{report.Before.RougeL.Mean:F3}</strong> before, <strong>{report.After.RougeL.Mean:F3}</strong> after: mean over {report.After.RougeL.Count} held-out dialogues.";
        return $"""
            <p class="verdict">{verdict}</p>
            {stopped}{notice}<p class="muted">{latest}</p>

            """;
    }

    private static Html Figures(EvaluationReport report)
    {
        return $"""
            <table class="stack"><thead><tr><th scope="col">on held-out dialogues</th><th scope="col">before</th><th scope="col">after</th></tr></thead><tbody>
            {Comparison.Rows(report).Select<ComparisonRow, Html>(row => $"""
            <tr><th scope="row">{row.Measure}</th><td data-label="before">{row.Before}</td><td data-label="after">{row.After}</td></tr>

            """)}</tbody></table>
            <p class="note">In parentheses: 95 % bootstrap intervals by dialogue. KL is summed over a response, from the model with its adapter off. The least KL is what any policy must pay for this change of the judged label's mean probability, whatever it does otherwise; its interval goes from the near to the far ends of theirs.</p>
            {(Comparison.Doubt(report) is { } doubt ? $"<p class=\"note\">{doubt}</p>\n" : Html.None)}
            """;
    }

    private static Html AllDialogues(EvaluationReport report)
    {
        var samples = report.Samples;
        Html rest = samples.Count > MaxDialogues ? $"<p class=\"note\">The first {MaxDialogues} of {samples.Count}; evaluation.json holds all.</p>\n" : Html.None;
        return $"""
            {rest}{samples.Take(MaxDialogues).Select<SummarySample, Html>((sample, i) => $"""
            <details><summary>{i + 1}{(report.Label is { } label ? $": {label} {sample.LabelBefore:F2} → {sample.LabelAfter:F2}" : "")}</summary>
            {Card(report, sample)}</details>

            """)}
            """;
    }

    private static Html Card(EvaluationReport report, SummarySample sample)
    {
        return $"""
            <div class="card"><div class="pair">
            {Side(report, "before", sample.Before, sample.LabelBefore)}{Side(report, "after", sample.After, sample.LabelAfter)}</div>
            <details><summary>Dialogue and reference summary</summary>
            <p class="dialogue">{sample.Dialogue}</p><p><span class="muted">Reference:</span> {sample.Reference}</p></details>
            </div>

            """;
    }

    private static Html Side(EvaluationReport report, string when, string text, double? label)
    {
        Html said = $"{text}", nothing = $"<span class=\"empty\">(empty)</span>";
        Html judged = label is { } p ? $"<span class=\"judged {(IsUndesired(report, p) ? "bad" : "good")}\">{report.Label} {p:F2}</span>" : Html.None;
        return $"<div>{judged}<span class=\"muted\">{when}</span><p>{(string.IsNullOrWhiteSpace(text) ? nothing : said)}</p></div>\n";
    }

    private static string Seconds(SecondsByStage stages)
    {
        double total = stages.Prepare + stages.Rollout + stages.Update + stages.Evaluate + stages.Other;
        return $"{total:F0} s (prepare {stages.Prepare:F0}, rollouts {stages.Rollout:F0}, updates {stages.Update:F0}, evaluate {stages.Evaluate:F0}, other {stages.Other:F0})";
    }
}
