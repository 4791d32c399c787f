using System.Text;
using static System.FormattableString;

namespace RlhfFunctions.Scale;

/// <summary>docs/scale.svg: tokens a second over replicas, both logarithmic, one panel for each replica type.</summary>
public static class Chart
{
    private const double PanelWidth = 460, Height = 400, Left = 70, Right = 440, Top = 50, Bottom = 330;

    private const string Dashes = " stroke-dasharray=\"6 4\"";

    private static readonly int[] Replicas = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000], Ticks = [1, 10, 100, 1000];

    private static readonly string[] Colours = ["#b35900", "#6f42c1", "#0a5cc2"];

    public static string Draw(IReadOnlyList<StageTimes> stages)
    {
        double width = PanelWidth * stages.Count;
        var svg = new StringBuilder(Invariant($"""
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {Height}" role="img" aria-labelledby="title description" font-family="system-ui, sans-serif" font-size="12">
            <title id="title">Tokens a second over replicas, simulated</title>
            <desc id="description">For each type of replica: a line for 256, 4,096 and 65,536 samples a step with a single update, which is flat from the first few replicas on, and a dashed one for each with the best number of update shards, which rises further the more samples a step has.</desc>
            <rect width="{width}" height="{Height}" fill="#fff"/>

            """));
        for (int i = 0; i < stages.Count; i++) Panel(svg, stages[i], PanelWidth * i);
        for (int i = 0; i < Docs.Batches.Length; i++) Key(svg, 70 + (180 * i), Colours[i], "", Invariant($"{Docs.Batches[i]:N0} samples a step"));
        Key(svg, 70 + (180 * Docs.Batches.Length), "#1b1f24", Dashes, "with the best number of update shards");
        return svg.Append("</svg>\n").ToString().ReplaceLineEndings("\n");
    }

    private static void Panel(StringBuilder svg, StageTimes stages, double x)
    {
        var lines = Docs.Batches.SelectMany((batch, i) => new[]
        {
            (Colour: Colours[i], Dash: "", Points: Points(batch, replicas => Docs.Simulate(stages, batch, replicas, 1))),
            (Colour: Colours[i], Dash: Dashes, Points: Points(batch, replicas => Docs.Best(stages, batch, replicas))),
        }).ToList();
        int low = (int)Math.Floor(Math.Log10(lines.Min(line => line.Points.Min(point => point.TokensPerSecond))));
        int high = (int)Math.Ceiling(Math.Log10(lines.Max(line => line.Points.Max(point => point.TokensPerSecond))));
        double X(double replicas) => x + Left + (Math.Log10(replicas) / 3 * (Right - Left));
        double Y(double tokens) => Bottom - ((Math.Log10(tokens) - low) / (high - low) * (Bottom - Top));

        svg.AppendLine(Invariant($"<text x=\"{x + Left}\" y=\"28\" font-weight=\"600\">{stages.Name}</text>"));
        for (int power = low; power <= high; power++)
        {
            double y = Y(Math.Pow(10, power));
            svg.AppendLine(Invariant($"<path d=\"M{x + Left} {y:F1}H{x + Right}\" stroke=\"#d0d7de\"/><text x=\"{x + Left - 6}\" y=\"{y + 4:F1}\" text-anchor=\"end\">{Math.Pow(10, power):N0}</text>"));
        }

        foreach (int replicas in Ticks)
            svg.AppendLine(Invariant($"<text x=\"{X(replicas):F1}\" y=\"{Bottom + 18}\" text-anchor=\"middle\">{replicas:N0}</text>"));
        svg.AppendLine(Invariant($"<text x=\"{x + ((Left + Right) / 2)}\" y=\"{Bottom + 36}\" text-anchor=\"middle\">replicas</text>"));
        svg.AppendLine(Invariant($"<text x=\"{x + Left}\" y=\"{Top - 6}\" text-anchor=\"middle\">tokens/s</text>"));
        foreach (var (colour, dash, points) in lines)
        {
            string path = string.Join(' ', points.Select(point => Invariant($"{X(point.Replicas):F1},{Y(point.TokensPerSecond):F1}")));
            svg.AppendLine(Invariant($"<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash}/>"));
        }
    }

    private static List<(int Replicas, double TokensPerSecond)> Points(int batch, Func<int, Outcome> simulate)
    {
        return [.. Replicas.Where(replicas => replicas <= batch).Select(replicas => (replicas, simulate(replicas).TokensPerSecond))];
    }

    private static void Key(StringBuilder svg, double x, string colour, string dash, string text)
    {
        svg.AppendLine(Invariant($"<path d=\"M{x} {Height - 12}h24\" stroke=\"{colour}\" stroke-width=\"2\"{dash}/><text x=\"{x + 30}\" y=\"{Height - 8}\">{text}</text>"));
    }
}
