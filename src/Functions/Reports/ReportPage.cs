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
            {Verdict(report, request, published)}
            """;
        Html main = $"""
            <h2 id="figures" tabindex="-1">Before and after</h2>
            {Figures(report)}<h2>Learning</h2>
            <p class="note">Measured on the responses of each step, before its update. A hate probability here is the reward model's own.</p>
            <div class="charts">
            {RunCharts.Of(new RunSteps(report.RunId, request, metrics)).Select((chart, i) => LineChart.Draw($"chart-{i}", chart))}</div>
            {Improved(report)}{StillHateful(report)}<h2>All held-out dialogues</h2>
            {AllDialogues(report.Samples)}<h2>Settings</h2>
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
        var improved = Comparison.MostImproved(report).Take(Highlights).ToList();
        return improved.Count == 0 ? (Html)$"<h2>Where hate fell most</h2>\n<p>Of no dialogue the response became less hateful.</p>\n" : $"""
            <h2>Where hate fell most</h2>
            <div class="cards">
            {improved.Select(Card)}</div>

            """;
    }

    private static Html StillHateful(EvaluationReport report)
    {
        var hateful = report.Samples.Where(sample => IsHateful(sample.HateAfter)).OrderByDescending(sample => sample.HateAfter).ToList();
        return hateful.Count == 0
            ? (Html)$"<h2>What is still hateful</h2>\n<p>Nothing: of the {report.Samples.Count} responses that are shown, the judge finds none more likely hateful than not; the highest hate probability is {report.Samples.Max(sample => sample.HateAfter):F2}.</p>\n"
            : $"""
            <h2>What is still hateful</h2>
            <p class="note">{hateful.Count} of the {report.Samples.Count} responses that are shown: those that the judge finds more likely hateful than not{(hateful.Count > Highlights ? $", the {Highlights} worst here" : "")}.</p>
            <div class="cards">
            {hateful.Take(Highlights).Select(Card)}</div>

            """;
    }

    private static bool IsHateful(double probability)
    {
        return probability >= 0.5;
    }

    private static Html Verdict(EvaluationReport report, RunRequest request, bool published)
    {
        var (before, after) = (report.Before.HateProbability, report.After.HateProbability);
        Html notice = report.NothingToUnlearn is { } nothing ? $"<p class=\"notice\" role=\"note\">{nothing}</p>\n" : Html.None;
        Html stopped = report.Alarm is { } alarm ? $"<p class=\"notice\" role=\"note\">The run stopped itself after an alarm. {alarm}</p>\n"
            : report.Limit is { } limit ? $"<p class=\"notice\" role=\"note\">The run stopped at its limit, before its last step. {limit}</p>\n" : Html.None;
        string latest = published
            ? "adapters/latest points to this run's adapter, unless a later run moved it on."
            : report.Alarm is not null ? "adapters/latest was not moved here, since an alarm stopped the run."
            : report.Limit is not null ? "adapters/latest was not moved here, since the run stopped at its limit."
            : $"adapters/latest was not moved here: hate must fall, and ROUGE-L keep {request.Evaluation.MinRougeShare:P0} of what it was.";
        return $"""
            <p class="verdict">Hate probability <strong>{before.Mean:F3}</strong> before, <strong>{after.Mean:F3}</strong> after: mean over {after.Count} held-out dialogues, by a judge that is not the reward.</p>
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
            <p class="note">In parentheses: 95 % bootstrap intervals by dialogue. KL is summed over a response, from the model with its adapter off. The least KL is what any policy must pay for this change of the mean hate probability, whatever it does otherwise; its interval goes from the near to the far ends of theirs.</p>
            {(Comparison.Doubt(report) is { } doubt ? $"<p class=\"note\">{doubt}</p>\n" : Html.None)}
            """;
    }

    private static Html AllDialogues(IReadOnlyList<SummarySample> samples)
    {
        Html rest = samples.Count > MaxDialogues ? $"<p class=\"note\">The first {MaxDialogues} of {samples.Count}; evaluation.json holds all.</p>\n" : Html.None;
        return $"""
            {rest}{samples.Take(MaxDialogues).Select<SummarySample, Html>((sample, i) => $"""
            <details><summary>{i + 1}: hate {sample.HateBefore:F2} → {sample.HateAfter:F2}</summary>
            {Card(sample)}</details>

            """)}
            """;
    }

    private static Html Card(SummarySample sample)
    {
        return $"""
            <div class="card"><div class="pair">
            {Side("before", sample.Before, sample.HateBefore)}{Side("after", sample.After, sample.HateAfter)}</div>
            <details><summary>Dialogue and reference summary</summary>
            <p class="dialogue">{sample.Dialogue}</p><p><span class="muted">Reference:</span> {sample.Reference}</p></details>
            </div>

            """;
    }

    private static Html Side(string when, string text, double hate)
    {
        Html said = $"{text}", nothing = $"<span class=\"empty\">(empty)</span>";
        return $"<div><span class=\"hate {(IsHateful(hate) ? "high" : "low")}\">hate {hate:F2}</span><span class=\"muted\">{when}</span><p>{(string.IsNullOrWhiteSpace(text) ? nothing : said)}</p></div>\n";
    }

    private static string Seconds(SecondsByStage stages)
    {
        double total = stages.Prepare + stages.Rollout + stages.Update + stages.Evaluate + stages.Other;
        return $"{total:F0} s (prepare {stages.Prepare:F0}, rollouts {stages.Rollout:F0}, updates {stages.Update:F0}, evaluate {stages.Evaluate:F0}, other {stages.Other:F0})";
    }
}
