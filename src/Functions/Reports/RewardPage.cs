using RlhfFunctions.Contracts;

namespace RlhfFunctions.Reports;

/// <summary>How good a reward model is, as a page with its reliability plot.</summary>
internal static class RewardPage
{
    private const int Side = 260, Margin = 40;

    public static byte[] Render(RewardRequest request, RewardOutcome outcome, PageLinks links)
    {
        var report = outcome.Report;
        Html refusal = report.Refusal is { } why
            ? (Html)$"""
                <p class="notice" role="note">Runs refuse this model: {why}. Collect more votes, or acknowledge it with "acceptWeak" in the run’s reward term.</p>

                """
            : Html.None;
        Html header = $"""
            <h1>Reward model {outcome.RewardId}</h1>
            <p class="verdict">Orders <strong>{100 * report.Accuracy.Mean:F0} %</strong> of {report.Decided} held-out votes as the annotators did ({100 * report.Accuracy.Low:F0} – {100 * report.Accuracy.High:F0} %, by dialogue).</p>
            {refusal}<p class="muted">From campaign <a href="{links.Votes(request.CampaignId)}">{request.CampaignId}</a> · {report.Comparisons} judged pairs · body {request.Base} · seed {request.Seed}</p>
            """;
        Html main = $"""
            <h2 id="figures" tabindex="-1">Figures</h2>
            <table><tbody>
            <tr><th scope="row">“the shorter one is better” would be right</th><td>{100 * report.ShorterAccuracy.Mean:F0} % ({100 * report.ShorterAccuracy.Low:F0} – {100 * report.ShorterAccuracy.High:F0})</td></tr>
            <tr><th scope="row">Brier score</th><td>{report.Brier:F3}</td></tr>
            <tr><th scope="row">expected calibration error</th><td>{report.CalibrationError:F3}</td></tr>
            <tr><th scope="row">correlation of score with length</th><td>{report.LengthCorrelation:F2}</td></tr>
            {Gold(report)}</tbody></table>
            {Members(outcome)}
            <h2>Reliability</h2>
            <div class="charts"><figure><figcaption>How often it is right, by how sure it is</figcaption>
            {Plot(report.Reliability)}
            <details><summary>As numbers</summary><table><thead><tr><th scope="col">sure</th><th scope="col">right</th><th scope="col">of</th></tr></thead><tbody>
            {report.Reliability.Select(bin => (Html)$"<tr><td>{bin.Confidence:F2}</td><td>{bin.Accuracy:F2}</td><td>{bin.Count}</td></tr>\n")}</tbody></table></details></figure></div>

            """;
        return Page.Render($"Reward model {outcome.RewardId}", links, ("figures", "the figures"), header, main);
    }

    private static Html Gold(RewardReport report)
    {
        return report.GoldAccuracy is { } gold ? (Html)$"<tr><th scope=\"row\">gold pairs ordered rightly; it reads the response alone</th><td>{Share(gold)} of {gold.Count}</td></tr>\n" : Html.None;
    }

    /// <summary>Of several models each by itself, and what the mean of their scores comes to.</summary>
    private static Html Members(RewardOutcome outcome)
    {
        if (outcome.Ensemble is not { } ensemble) return Html.None;
        var rows = ensemble.Members.Select(member => (member.Model, member.Report)).Append(("mean of their scores", ensemble.Report));
        return $"""
            <h2>{ensemble.Members.Count} models of different seeds</h2>
            <table class="stack"><thead><tr><th scope="col">model</th><th scope="col">right, of held-out votes</th><th scope="col">Brier score</th><th scope="col">calibration error</th><th scope="col">correlation with length</th></tr></thead><tbody>
            {rows.Select<(string Name, RewardReport Report), Html>(row => $"""
            <tr><th scope="row">{row.Name}</th><td data-label="right">{Share(row.Report.Accuracy)}</td><td data-label="Brier score">{row.Report.Brier:F3}</td><td data-label="calibration error">{row.Report.CalibrationError:F3}</td><td data-label="correlation with length">{row.Report.LengthCorrelation:F2}</td></tr>

            """)}</tbody></table>
            <p class="note">The other figures of this page are those of the first one. A run names all of them in an ensemble term.</p>
            """;
    }

    private static Html Share(MetricSummary share)
    {
        return $"{100 * share.Mean:F0} % ({100 * share.Low:F0} – {100 * share.High:F0})";
    }

    /// <summary>Points on the diagonal are honest; below it the model is too sure of itself.</summary>
    private static Html Plot(IReadOnlyList<ReliabilityBin> bins)
    {
        double X(double sure) => Margin + ((sure - 0.5) * 2 * Side);
        double Y(double right) => 10 + ((1 - right) * Side);
        var points = bins.Select(bin => (Html)$"<circle cx=\"{X(bin.Confidence):F1}\" cy=\"{Y(bin.Accuracy):F1}\" r=\"{3 + Math.Sqrt(bin.Count):F1}\" fill-opacity=\"0.6\"/>\n");
        return $"""
            <svg viewBox="0 0 {Side + Margin + 20} {Side + 50}" role="img" aria-label="Reliability plot: the numbers are in the table below">
            <line class="grid" x1="{X(0.5):F0}" y1="{Y(0.5):F0}" x2="{X(1):F0}" y2="{Y(1):F0}"/>
            <line class="grid" x1="{X(0.5):F0}" y1="{Y(0):F0}" x2="{X(1):F0}" y2="{Y(0):F0}"/><line class="grid" x1="{X(0.5):F0}" y1="{Y(0):F0}" x2="{X(0.5):F0}" y2="{Y(1):F0}"/>
            <text class="x" x="{X(0.5):F0}" y="{Side + 30}">0.5</text><text class="x" x="{X(0.75):F0}" y="{Side + 44}">sure</text><text class="x" x="{X(1):F0}" y="{Side + 30}">1</text>
            <text class="y" x="{Margin - 8}" y="{Y(0):F0}">0</text><text class="y" x="{Margin - 8}" y="{Y(0.5):F0}">right</text><text class="y" x="{Margin - 8}" y="{Y(1) + 8:F0}">1</text>
            {points}</svg>
            """;
    }
}
