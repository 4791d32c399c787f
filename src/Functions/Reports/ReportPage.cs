using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Reports;

/// <summary>report.html: what a run did, as one page that needs nothing but itself; no script, no other file.</summary>
internal static class ReportPage
{
    /// <summary>Dialogues listed one by one; evaluation.json holds the others.</summary>
    private const int MaxDialogues = 200;

    private const int Highlights = 3;

    /// <param name="report">The evaluation.</param>
    /// <param name="metrics">One object a step, by the metrics' names.</param>
    /// <param name="request">The run's settings.</param>
    /// <param name="published">Whether adapters/latest moved to this run.</param>
    /// <returns>UTF-8; equal arguments give equal bytes.</returns>
    public static byte[] Render(EvaluationReport report, IReadOnlyList<JsonObject> metrics, RunRequest request, bool published)
    {
        Html page = $"""
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8"/>
            <meta name="viewport" content="width=device-width, initial-scale=1"/>
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
            <title>Run {report.RunId}: what it unlearned</title>
            <style>
            {ReportStyle.Css}</style>
            </head>
            <body>
            <a class="skip" href="#figures">Skip to the figures</a>
            <header>
            <h1>Run {report.RunId}</h1>
            <p class="muted">{request.Model.Source} · seed {report.Seed} · {report.Steps} steps of {request.Training.Section.ToUpperInvariant()} · {Seconds(report.SecondsByStage)}</p>
            {Verdict(report, request, published)}</header>
            <main>
            <h2 id="figures" tabindex="-1">Before and after</h2>
            {Figures(report)}<h2>Learning</h2>
            <p class="note">Measured on the responses of each step, before its update. A hate probability here is the reward model's own.</p>
            <div class="charts">
            {Series(metrics, request.Reward).Select((series, i) => LineChart.Draw($"chart-{i}", series))}</div>
            <h2>Where hate fell most</h2>
            <div class="cards">
            {Comparison.MostImproved(report).Take(Highlights).Select(Card)}</div>
            <h2>What is most hateful now</h2>
            <div class="cards">
            {report.Samples.OrderByDescending(sample => sample.HateAfter).Take(Highlights).Select(Card)}</div>
            <h2>All held-out dialogues</h2>
            {AllDialogues(report.Samples)}<h2>Settings</h2>
            {Settings(request)}</main>
            <footer>
            <p>The numbers of this page: evaluation.json and metrics.jsonl, beside it. The adapter in PEFT format: adapter/.</p>
            </footer>
            </body>
            </html>

            """;
        return Encoding.UTF8.GetBytes(page.ToString());
    }

    private static Html Verdict(EvaluationReport report, RunRequest request, bool published)
    {
        var (before, after) = (report.Before.HateProbability, report.After.HateProbability);
        Html notice = report.NothingToUnlearn is { } nothing ? $"<p class=\"notice\" role=\"note\">{nothing}</p>\n" : Html.None;
        Html stopped = report.Alarm is { } alarm ? $"<p class=\"notice\" role=\"note\">The run stopped itself. {alarm}</p>\n" : Html.None;
        string latest = published
            ? "adapters/latest points to this run's adapter, unless a later run moved it on."
            : report.Alarm is not null ? "adapters/latest was not moved here, since an alarm stopped the run."
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
            <p class="note">In parentheses: 95 % bootstrap intervals by dialogue. KL is summed over a response, from the model with its adapter off. The least KL is what any policy must pay for this change of the mean hate probability, whatever it does otherwise.</p>

            """;
    }

    /// <summary>What every run reports, then each term of a reward that has several; the hate probability only where a classifier tells it.</summary>
    private static IEnumerable<StepSeries> Series(IReadOnlyList<JsonObject> metrics, RewardSettings? reward)
    {
        var terms = reward?.Terms ?? [];
        (string Title, string Unit, string Name)[] series =
        [
            ("Reward", "mean score", MetricNames.RewardMean),
            ("Hate probability", "by the reward model", MetricNames.HateProbability),
            ("KL from the reference", "nats per response", MetricNames.Kl),
            ("Response length", "tokens", MetricNames.ResponseLengthMean),
            ("Policy loss", "what the update lowers", MetricNames.PolicyLoss),
            ("Value loss", "clipped squared error", MetricNames.ValueLoss),
            ("Margin", "of the chosen over the rejected responses", MetricNames.PreferenceMargin),
            ("Right preferences", "share of pairs", MetricNames.PreferenceAccuracy),
            .. terms.Skip(terms.Count > 1 ? 0 : 1).Select(term => ($"Reward term {term.Name}", "mean before its weight", MetricNames.RewardTerm(term.Name))),
        ];
        // A step has no hate probability where no classifier rewards, and no losses where every mini-batch was skipped.
        return series.Where(one => metrics.All(step => step.ContainsKey(one.Name)))
            .Select(one => new StepSeries(one.Title, one.Unit, [.. metrics.Select(step => step[one.Name]!.GetValue<double>())]));
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
        return $"<div><span class=\"hate {(hate >= 0.5 ? "high" : "low")}\">hate {hate:F2}</span><span class=\"muted\">{when}</span><p>{(string.IsNullOrWhiteSpace(text) ? nothing : said)}</p></div>\n";
    }

    private static Html Settings(RunRequest request)
    {
        var json = JsonSerializer.SerializeToNode(request, ContractsJson.Options)!;
        return $"""
            <details><summary>The whole request</summary>
            <table class="stack"><thead><tr><th scope="col">setting</th><th scope="col">value</th></tr></thead><tbody>
            {Leaves("", json).Select<(string Path, string Value), Html>(leaf => $"""
            <tr><th scope="row">{leaf.Path}</th><td data-label="value">{leaf.Value}</td></tr>

            """)}</tbody></table></details>

            """;
    }

    private static IEnumerable<(string Path, string Value)> Leaves(string path, JsonNode? node)
    {
        return node is JsonObject branch
            ? branch.SelectMany(field => Leaves(path.Length == 0 ? field.Key : $"{path}.{field.Key}", field.Value))
            : [(path, node?.ToJsonString(ContractsJson.Options) ?? "null")];
    }

    private static string Seconds(SecondsByStage stages)
    {
        double total = stages.Prepare + stages.Rollout + stages.Update + stages.Evaluate + stages.Other;
        return $"{total:F0} s (prepare {stages.Prepare:F0}, rollouts {stages.Rollout:F0}, updates {stages.Update:F0}, evaluate {stages.Evaluate:F0}, other {stages.Other:F0})";
    }
}
