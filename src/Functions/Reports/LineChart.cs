using System.Globalization;

namespace RlhfFunctions.Reports;

/// <summary>One line of a chart: a number a step, from the first on; null where a step has none.</summary>
internal sealed record StepLine(string Name, IReadOnlyList<double?> Values);

/// <summary>A level that a metric is measured by, such as a target.</summary>
internal sealed record ChartMark(string Name, double Value);

/// <summary>A metric over the steps, of one run or of several.</summary>
/// <param name="Title">What it is.</param>
/// <param name="Unit">What its numbers count.</param>
/// <param name="Lines">At least one, with at least one number.</param>
internal sealed record StepChart(string Title, string Unit, IReadOnlyList<StepLine> Lines)
{
    public IReadOnlyList<ChartMark> Marks { get; init; } = [];
}

/// <summary>A line chart as inline SVG, with axes, a description for screen readers and its numbers as a table.</summary>
internal static class LineChart
{
    /// <summary>Lines that can be told apart, by colour and by dashes.</summary>
    public const int MaxLines = 6;

    /// <summary>Longer runs are drawn and listed as means of neighbouring steps.</summary>
    private const int MaxPoints = 300;

    /// <summary>A mark further away than this many times the lines' own range would flatten them: it is named at the edge instead.</summary>
    private const double FarAway = 2;

    // The drawing is as wide as a phone: there its text has its nominal size.
    private const double LineHeight = 12;
    private const double Width = 400, Height = 230, Left = 52, Right = 388, Top = 28, Bottom = 190;

    private static readonly int[] RoundFactors = [1, 2, 5, 10];

    /// <param name="id">Unique on the page.</param>
    /// <param name="chart">What to draw.</param>
    public static Html Draw(string id, StepChart chart)
    {
        int steps = chart.Lines.Max(line => line.Values.Count);
        int stretch = (steps + MaxPoints - 1) / MaxPoints;
        Point[][] lines = [.. chart.Lines.Select(line => Thin(line.Values, stretch))];
        double[] values = [.. lines.SelectMany(line => line).Select(point => point.Value).OfType<double>()];
        double low = values.Min(), high = values.Max(), reach = FarAway * Math.Max(high - low, 1e-9);
        var near = chart.Marks.Where(mark => mark.Value >= low - reach && mark.Value <= high + reach).ToList();
        double[] ticks = Ticks(near.Select(mark => mark.Value).Append(low).Min(), near.Select(mark => mark.Value).Append(high).Max());
        int decimals = Math.Clamp((int)Math.Ceiling(-Math.Log10(ticks[1] - ticks[0]) - 1e-9), 0, 9);
        string format = $"F{decimals}", precise = $"F{Math.Min(decimals + 2, 9)}";
        int[] stepMarks = [.. new[] { 1, (steps + 1) / 2, steps }.Distinct()];
        string far = string.Join(", ", chart.Marks.Except(near).Select(mark => $"{Named(mark)} {(mark.Value > high ? "↑" : "↓")}"));

        return $"""
            <figure>
            <figcaption id="{id}-title">{chart.Title} <span class="unit">{chart.Unit}</span></figcaption>
            {Legend(chart)}<svg viewBox="0 0 {Width} {Height}" role="img" aria-labelledby="{id}-title {id}-description">
            <desc id="{id}-description">{Describe(chart, precise)}</desc>
            {ticks.Select<double, Html>(tick => $"""
            <line class="grid" x1="{Left}" x2="{Right}" y1="{Y(tick):F1}" y2="{Y(tick):F1}"/><text class="y" x="{Left - 6}" y="{Y(tick) + 4:F1}">{tick.ToString(format)}</text>

            """)}{stepMarks.Select<int, Html>(step => $"""
            <text class="x" x="{X(step):F1}" y="{Bottom + 17}">{step}</text>

            """)}<text class="x" x="{(Left + Right) / 2}" y="{Height - 6}">step</text>
            {near.Select<ChartMark, Html>(mark => $"""
            <line class="mark" x1="{Left}" x2="{Right}" y1="{Y(mark.Value):F1}" y2="{Y(mark.Value):F1}"/><text class="y" x="{Right}" y="{Y(mark.Value) + (Y(mark.Value) < Top + LineHeight ? LineHeight : -5):F1}">{Named(mark)}</text>

            """)}{(far.Length == 0 ? Html.None : $"""
            <text class="y" x="{Right}" y="{Top - 12}">{far}</text>

            """)}{lines.Select((line, i) => Line(line, i, X, Y))}</svg>
            <details id="{id}-numbers"><summary id="{id}-open">{chart.Title} as a table</summary>
            <div class="scroll" tabindex="0" role="region" aria-label="{chart.Title} by step">
            <table><thead><tr><th scope="col">step</th>{chart.Lines.Select<StepLine, Html>(line => $"""<th scope="col">{(chart.Lines.Count == 1 ? chart.Unit : line.Name)}</th>""")}</tr></thead><tbody>
            {Enumerable.Range(0, lines.Max(line => line.Length)).Select(row => Row(lines, row, precise))}</tbody></table></div></details>
            </figure>

            """;

        double X(double step) => steps == 1 ? (Left + Right) / 2 : Left + ((step - 1) / (steps - 1) * (Right - Left));

        double Y(double value) => Bottom - ((value - ticks[0]) / (ticks[^1] - ticks[0]) * (Bottom - Top));
    }

    /// <summary>Four to eight round numbers, equally far apart, that enclose the values.</summary>
    internal static double[] Ticks(double low, double high)
    {
        double span = high - low;
        if (span <= 1e-9 * Math.Max(Math.Abs(low), Math.Abs(high)) || span == 0)
        {
            double margin = low == 0 ? 1 : Math.Abs(low) / 2;
            (low, high, span) = (low - margin, high + margin, 2 * margin);
        }

        double magnitude = Math.Pow(10, Math.Floor(Math.Log10(span / 4)));
        double step = magnitude * RoundFactors.First(factor => magnitude * factor >= span / 4);
        double first = Math.Floor(low / step), last = Math.Ceiling(high / step);
        return [.. Enumerable.Range(0, (int)(last - first) + 1).Select(i => (first + i) * step)];
    }

    private static string Named(ChartMark mark)
    {
        return string.Create(CultureInfo.InvariantCulture, $"{mark.Name} {mark.Value:G4}");
    }

    /// <summary>Only where there are several lines to tell apart.</summary>
    private static Html Legend(StepChart chart)
    {
        if (chart.Lines.Count == 1) return Html.None;
        return $"""
            <ul class="legend">{chart.Lines.Select<StepLine, Html>((line, i) => $"""
            <li><svg class="key" viewBox="0 0 28 8" aria-hidden="true"><line class="line{i}" x1="0" x2="28" y1="4" y2="4"/></svg> {line.Name}</li>
            """)}</ul>

            """;
    }

    private static string Describe(StepChart chart, string format)
    {
        var lines = chart.Lines.Where(line => line.Values.Any(value => value is not null)).Select(line =>
        {
            double[] values = [.. line.Values.OfType<double>()];
            string name = chart.Lines.Count == 1 ? "Line" : line.Name;
            return $"{name} over {line.Values.Count} step{(line.Values.Count == 1 ? "" : "s")}: from {Number(values[0])} at the first to {Number(values[^1])} at the last; "
                + $"lowest {Number(values.Min())}, highest {Number(values.Max())}.";
        });
        var marks = chart.Marks.Select(mark => $"The {Named(mark)} is marked.");
        return string.Join(" ", lines.Concat(marks));

        string Number(double value) => value.ToString(format, CultureInfo.InvariantCulture);
    }

    /// <summary>What is there without a gap is joined; the last point is a dot.</summary>
    private static Html Line(Point[] points, int number, Func<double, double> x, Func<double, double> y)
    {
        var pieces = new List<List<Point>> { new() };
        foreach (var point in points)
        {
            if (point.Value is not null) pieces[^1].Add(point);
            else if (pieces[^1].Count > 0) pieces.Add([]);
        }

        pieces.RemoveAll(piece => piece.Count == 0);
        if (pieces.Count == 0) return Html.None;
        var last = pieces[^1][^1];
        return $"""
            {pieces.Select<List<Point>, Html>(piece => $"""
            <polyline class="line{number}" points="{string.Join(' ', piece.Select(point => string.Create(CultureInfo.InvariantCulture, $"{x(point.Step):F1},{y(point.Value!.Value):F1}")))}"/>

            """)}<circle class="line{number}" cx="{x(last.Step):F1}" cy="{y(last.Value!.Value):F1}" r="3.5"/>

            """;
    }

    private static Html Row(Point[][] lines, int row, string format)
    {
        string label = lines.First(line => row < line.Length)[row].Label;
        return $"<tr><td>{label}</td>{lines.Select<Point[], Html>(line => $"<td>{(row < line.Length ? line[row].Value : null)?.ToString(format, CultureInfo.InvariantCulture)}</td>")}</tr>\n";
    }

    /// <summary>All values, or means over stretches of equal length where there are too many to look at.</summary>
    private static Point[] Thin(IReadOnlyList<double?> values, int stretch)
    {
        return [.. values.Select((value, i) => (Value: value, Step: i + 1)).Chunk(stretch).Select(chunk => new Point(
            chunk.Length == 1 ? $"{chunk[0].Step}" : $"{chunk[0].Step} – {chunk[^1].Step}",
            chunk.Average(value => (double)value.Step),
            chunk.Average(value => value.Value)))]; // null where all are
    }

    private sealed record Point(string Label, double Step, double? Value);
}
