using RlhfFunctions.Contracts;

namespace RlhfFunctions.Reports;

/// <summary>What a campaign's votes are worth, as a page.</summary>
internal static class StatisticsPage
{
    public static byte[] Render(string campaignId, VoteStatistics statistics, PageLinks links)
    {
        var annotators = statistics.Annotators.Select(a => (Html)$"""
            <tr><th scope="row">{a.Annotator}</th><td data-label="votes">{a.Votes}</td><td data-label="gold right">{Share(a.GoldAccuracy, a.GoldVotes)}</td><td data-label="repeats alike">{Share(a.Consistency, a.Repeats)}</td><td data-label="for what stood first">{Share(a.FirstShare)}</td><td data-label="for the longer">{Share(a.LongerShare)}</td><td data-label="median seconds">{a.MedianSeconds:F1}</td></tr>

            """);
        var policies = statistics.Policies.Select(p => (Html)$"""
            <tr><th scope="row">{p.Policy}</th><td data-label="score">{p.Score:F2}</td><td data-label="95 % interval">{p.Low:F2} – {p.High:F2}</td></tr>

            """);
        var wins = statistics.WinRates.Select(w => (Html)$"""
            <tr><th scope="row">{w.Policy}</th><td data-label="to">{w.Against}</td><td data-label="share">{100 * w.Mean:F0} %</td><td data-label="95 % interval">{100 * w.Low:F0} – {100 * w.High:F0} %</td><td data-label="votes for one">{w.Decided}</td><td data-label="ties">{w.Ties}</td></tr>

            """);
        Html ranking = statistics.Policies.Count == 0 ? Html.None : (Html)$"""
            <h2>Policies</h2>
            <p>Bradley–Terry scores with ties (Rao and Kupper), in natural log-odds; intervals by dialogue.</p>
            <table class="stack"><thead><tr><th scope="col">policy</th><th scope="col">score</th><th scope="col">95 % interval</th></tr></thead><tbody>
            {policies}</tbody></table>
            <table class="stack"><thead><tr><th scope="col">preferred</th><th scope="col">to</th><th scope="col">share</th><th scope="col">95 % interval</th><th scope="col">votes for one</th><th scope="col">ties</th></tr></thead><tbody>
            {wins}</tbody></table>

            """;
        string agreement = statistics.Agreement is { } alpha ? alpha.ToString("F2", System.Globalization.CultureInfo.InvariantCulture) : "not known: no pair was judged by two";
        Html header = $"""
            <h1>Votes of campaign {campaignId}</h1>
            <p class="verdict"><strong>{statistics.Votes}</strong> votes, {statistics.Decided} of them for one side. Agreement (Krippendorff’s α): {agreement}.</p>
            """;
        Html main = $"""
            <h2 id="annotators" tabindex="-1">Annotators</h2>
            <table class="stack"><thead><tr><th scope="col">annotator</th><th scope="col">votes</th><th scope="col">gold right</th><th scope="col">repeats alike</th><th scope="col">for what stood first</th><th scope="col">for the longer</th><th scope="col">median seconds</th></tr></thead><tbody>
            {annotators}</tbody></table>
            <p class="note">Fair hands are near 50 % for what stood first. Gold pairs and repeats judge the annotators and are not learnt from.</p>
            {ranking}
            """;
        return Page.Render($"Votes of {campaignId}", links, ("annotators", "the annotators"), header, main);
    }

    private static string Share(double? share, int? of = null)
    {
        return share is not { } value ? "–" : $"{100 * value:F0} %{(of is { } count ? $" of {count}" : "")}";
    }
}
