namespace RlhfFunctions.Reports;

/// <summary>One metric over the PPO steps.</summary>
/// <param name="Title">What it is.</param>
/// <param name="Unit">What its numbers count.</param>
/// <param name="Values">One number a step.</param>
internal sealed record StepSeries(string Title, string Unit, IReadOnlyList<double> Values);

/// <summary>A line chart as inline SVG, with axes, a description for screen readers and its numbers as a table.</summary>
internal static class LineChart
{
    /// <summary>Longer runs are drawn and listed as means of neighbouring steps.</summary>
    private const int MaxPoints = 300;

    // The drawing is as wide as a phone: there its text has its nominal size.
    private const double Width = 400, Height = 230, Left = 52, Right = 388, Top = 28, Bottom = 190;

    private static readonly int[] RoundFactors = [1, 2, 5, 10];

    /// <param name="id">Unique on the page.</param>
    /// <param name="series">At least one step.</param>
    public static Html Draw(string id, StepSeries series)
    {
        var points = Thin(series.Values);
        double low = points.Min(point => point.Value), high = points.Max(point => point.Value);
        double[] ticks = Ticks(low, high);
        int decimals = Math.Clamp((int)Math.Ceiling(-Math.Log10(ticks[1] - ticks[0]) - 1e-9), 0, 9);
        string format = $"F{decimals}", precise = $"F{Math.Min(decimals + 2, 9)}";
        int steps = series.Values.Count;
        int[] marks = [.. new[] { 1, (steps + 1) / 2, steps }.Distinct()];

        return $"""
            <figure>
            <figcaption id="{id}-title">{series.Title} <span class="unit">{series.Unit}</span></figcaption>
            <svg viewBox="0 0 {Width} {Height}" role="img" aria-labelledby="{id}-title {id}-description">
            <desc id="{id}-description">Line over {steps} PPO steps: from {series.Values[0].ToString(precise)} at the first to {series.Values[^1].ToString(precise)} at the last; lowest {low.ToString(precise)}, highest {high.ToString(precise)}.</desc>
            {ticks.Select<double, Html>(tick => $"""
            <line class="grid" x1="{Left}" x2="{Right}" y1="{Y(tick):F1}" y2="{Y(tick):F1}"/><text class="y" x="{Left - 6}" y="{Y(tick) + 4:F1}">{tick.ToString(format)}</text>

            """)}{marks.Select<int, Html>(step => $"""
            <text class="x" x="{X(step):F1}" y="{Bottom + 17}">{step}</text>

            """)}<text class="x" x="{(Left + Right) / 2}" y="{Height - 6}">PPO step</text>
            <polyline points="{string.Join(' ', points.Select(point => $"{X(point.Step):F1},{Y(point.Value):F1}"))}"/>
            <circle cx="{X(points[^1].Step):F1}" cy="{Y(points[^1].Value):F1}" r="3.5"/>
            </svg>
            <details><summary>{series.Title} as a table</summary>
            <div class="scroll" tabindex="0" role="region" aria-label="{series.Title} by step">
            <table><thead><tr><th scope="col">PPO step</th><th scope="col">{series.Unit}</th></tr></thead><tbody>
            {points.Select<Point, Html>(point => $"<tr><td>{point.Label}</td><td>{point.Value.ToString(precise)}</td></tr>\n")}</tbody></table></div></details>
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

    /// <summary>All values, or means over stretches of equal length where there are too many to look at.</summary>
    private static Point[] Thin(IReadOnlyList<double> values)
    {
        int stretch = (values.Count + MaxPoints - 1) / MaxPoints;
        return [.. values.Select((value, i) => (Value: value, Step: i + 1)).Chunk(stretch).Select(chunk => new Point(
            chunk.Length == 1 ? $"{chunk[0].Step}" : $"{chunk[0].Step} – {chunk[^1].Step}",
            chunk.Average(value => (double)value.Step),
            chunk.Average(value => value.Value)))];
    }

    private sealed record Point(string Label, double Step, double Value);
}
