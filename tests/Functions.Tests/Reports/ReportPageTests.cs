using System.Text;
using System.Xml;
using System.Xml.Linq;
using CsCheck;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.EndToEnd;
using RlhfFunctions.Reports;

namespace RlhfFunctions.Functions.Tests.Reports;

/// <summary>report.html as text: whole, safe, and readable for those who do not see it.</summary>
public sealed class ReportPageTests
{
    [Fact]
    public void What_a_model_wrote_never_becomes_markup()
    {
        string html = Encoding.UTF8.GetString(SampleReport.Page());
        Assert.DoesNotContain("<script", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("<img", html, StringComparison.OrdinalIgnoreCase);
        Assert.Contains(Parse(SampleReport.Page()).Descendants("p"), text => text.Value == SampleReport.Hostile); // and yet it reads as it was written
    }

    [Fact]
    public void Equal_runs_give_equal_bytes()
    {
        Assert.Equal(SampleReport.Page(), SampleReport.Page());
    }

    [Fact]
    public void It_asks_for_nothing_but_itself_and_leads_to_the_files_beside_it()
    {
        var page = Parse(SampleReport.Page());
        Assert.DoesNotContain(page.Descendants().Attributes(), attribute => attribute.Name.LocalName == "src");
        var links = page.Descendants().Attributes("href").Select(link => link.Value).Where(link => !link.StartsWith('#'));
        string[] published = [RunFiles.AdapterConfig, RunFiles.AdapterWeights, RunFiles.Metrics, RunFiles.Evaluation, RunFiles.Samples, RunFiles.Events];
        Assert.Equal(published.Order(), links.Order());
    }

    [Fact]
    public void Where_the_label_is_still_likely_is_only_where_it_is_likely()
    {
        var page = Parse(SampleReport.Page());
        var hateful = Section(page, "Where hate is still likely");
        Assert.Single(hateful.Descendants("div"), card => card.Attribute("class")?.Value == "card"); // of 0.02, 0.1, 0.6 and 0.4
        Assert.Contains("1 of the 4 responses", hateful.Value, StringComparison.Ordinal);
        var mild = SampleReport.Report with { Samples = [.. SampleReport.Report.Samples.Select(sample => sample with { LabelAfter = sample.LabelAfter / 2 })] };
        var none = Section(Parse(SampleReport.Page(mild)), "Where hate is still likely");
        Assert.Empty(none.Descendants("div"));
        Assert.Contains("its highest probability is 0.30", none.Value, StringComparison.Ordinal);
    }

    [Fact]
    public void Where_hate_fell_most_is_only_where_it_fell()
    {
        Assert.Equal(3, Section(Parse(SampleReport.Page()), "Where hate fell most").Descendants("div").Count(card => card.Attribute("class")?.Value == "card"));
        var worse = SampleReport.Report with { Samples = [.. SampleReport.Report.Samples.Select(sample => sample with { LabelAfter = 0.99 })] };
        Assert.Contains("In no dialogue", Section(Parse(SampleReport.Page(worse)), "Where hate fell most").Value, StringComparison.Ordinal);
    }

    [Fact]
    public void A_label_that_should_rise_is_told_the_other_way_round()
    {
        var report = SampleReport.Report with { Label = "joy", Direction = LabelDirection.Higher };
        var page = Parse(SampleReport.Page(report));
        Assert.Contains("In no dialogue joy rose", Section(page, "Where joy rose most").Value, StringComparison.Ordinal);
        var still = Section(page, "Where joy is still unlikely");
        Assert.Equal(3, still.Descendants("div").Count(card => card.Attribute("class")?.Value == "card")); // of 0.02, 0.1, 0.6 and 0.4
    }

    [Fact]
    public void Without_a_judge_the_page_tells_of_ROUGE_alone()
    {
        var report = SampleReport.Report;
        var unjudged = report with
        {
            Label = null,
            Before = report.Before with { LabelProbability = null },
            After = report.After with { LabelProbability = null },
            Kl = report.Kl with { Floor = null },
            Samples = [.. report.Samples.Select(sample => sample with { LabelBefore = null, LabelAfter = null })],
        };
        string page = Parse(SampleReport.Page(unjudged)).Root!.Value;
        Assert.Contains("No judge measured a label. ROUGE-L 0.540 before, 0.558 after", page, StringComparison.Ordinal);
        Assert.DoesNotContain("least KL for this change", page, StringComparison.Ordinal);
        Assert.DoesNotContain("Where ", page, StringComparison.Ordinal);
        Assert.Null(Comparison.Doubt(unjudged));
    }

    [Theory]
    [InlineData("Step 3 went too far.", null, "The run stopped itself after an alarm. Step 3 went too far.", "since an alarm stopped the run")]
    [InlineData(null, "It has taken 3 hours.", "The run stopped at its limit, before its last step. It has taken 3 hours.", "since the run stopped at its limit")]
    public void What_stopped_a_run_is_called_by_its_name(string? alarm, string? limit, string says, string consequence)
    {
        var report = SampleReport.Report with { Alarm = alarm, Limit = limit };
        var page = Parse(ReportPage.Render(report, SampleReport.Metrics(3), TinyRun.Request("sample"), published: false));
        Assert.Equal(says, Assert.Single(page.Descendants("p"), text => text.Attribute("class")?.Value == "notice").Value);
        Assert.Contains(page.Descendants("p"), text => text.Value.Contains(consequence, StringComparison.Ordinal));

        var (view, steps) = SamplePages.Run("live", "Running", 3, 1);
        view = view with { Progress = view.Progress! with { LastStep = view.Progress.LastStep! with { Alarm = alarm, Limit = limit } } };
        string notice = Assert.Single(Parse(SamplePages.Live((view, steps))).Descendants("p"), text => text.Attribute("class")?.Value == "notice").Value;
        Assert.Equal(alarm is null ? $"The run stops at its limit. {limit}" : $"The run stops itself after an alarm. {alarm}", notice);
    }

    [Fact]
    public void A_KL_below_the_least_there_can_be_is_explained()
    {
        var report = SampleReport.Report;
        Assert.Null(Comparison.Doubt(report)); // 1.41 and 0.55
        MetricSummary Kl(double mean, double margin) => new(mean, 1, mean - margin, mean + margin, 4);
        Assert.Contains("their intervals overlap", Comparison.Doubt(report with { Kl = report.Kl with { HeldOut = Kl(0.5, 0.1) } })!, StringComparison.Ordinal);
        string doubt = Comparison.Doubt(report with { Kl = report.Kl with { HeldOut = Kl(0.2, 0.1) } })!;
        Assert.Contains("evaluation.samplesPerDialogue", doubt, StringComparison.Ordinal);
        Assert.Contains(doubt, Parse(SampleReport.Page(report with { Kl = report.Kl with { HeldOut = Kl(0.2, 0.1) } })).Root!.Value, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_reference_inside_it_leads_somewhere()
    {
        var page = Parse(SampleReport.Page());
        string[] ids = [.. page.Descendants().Attributes("id").Select(id => id.Value)];
        Assert.Equal(ids.Length, ids.Distinct().Count());
        Assert.All(page.Descendants("a").Attributes("href").Where(link => link.Value.StartsWith('#')), link => Assert.Contains(link.Value[1..], ids));
        Assert.All(
            page.Descendants().Attributes("aria-labelledby").SelectMany(names => names.Value.Split(' ')), name => Assert.Contains(name, ids));
    }

    [Fact]
    public void Headings_and_tables_have_an_order_that_can_be_heard()
    {
        var page = Parse(SampleReport.Page());
        int[] levels = [.. page.Descendants().Where(element => element.Name.LocalName is ['h', >= '1' and <= '6']).Select(element => element.Name.LocalName[1] - '0')];
        Assert.Equal(1, levels[0]);
        Assert.Single(levels, level => level == 1);
        Assert.All(levels.Zip(levels.Skip(1)), pair => Assert.True(pair.Second <= pair.First + 1, "A heading level is left out."));
        Assert.All(page.Descendants("table"), table => Assert.All(table.Descendants("th"), cell => Assert.NotNull(cell.Attribute("scope"))));
    }

    [Fact]
    public void Every_chart_is_described_and_has_its_numbers_as_a_table()
    {
        var charts = Parse(SampleReport.Page()).Descendants("figure").ToList();
        Assert.Equal(6, charts.Count);
        Assert.All(charts, chart =>
        {
            Assert.Contains("over 40 steps", chart.Descendants("desc").Single().Value, StringComparison.Ordinal);
            Assert.Equal(40, chart.Descendants("tbody").Elements("tr").Count());
            Assert.Equal(40, chart.Descendants("polyline").Single().Attribute("points")!.Value.Split(' ').Length);
        });
    }

    [Fact]
    public void Figures_settings_and_every_dialogue_are_there()
    {
        var page = Parse(SampleReport.Page());
        string text = page.Root!.Value;
        foreach (string figure in new[] { "0.562 (0.532 – 0.592)", "0.072 (0.042 – 0.102)", "1.41 (1.21 – 1.61)", "0.55 (0.42 – 0.71)", "63 %", "96 %", "ppo.learningRate", "file:samples/models/judge" })
            Assert.Contains(figure, text, StringComparison.Ordinal);
        foreach (var sample in SampleReport.Report.Samples)
        {
            foreach (string piece in new[] { sample.Dialogue, sample.Reference, sample.Before, sample.After }.Where(piece => !string.IsNullOrWhiteSpace(piece)))
                Assert.Contains(piece, text, StringComparison.Ordinal);
        }

        Assert.Contains("(empty)", text, StringComparison.Ordinal);
    }

    [Fact]
    public void That_there_was_nothing_to_unlearn_is_said_only_where_it_is_so()
    {
        Assert.DoesNotContain("class=\"notice\"", Encoding.UTF8.GetString(SampleReport.Page()), StringComparison.Ordinal);
        var notice = Parse(SampleReport.Page(SampleReport.Report with { NothingToUnlearn = "Hardly anything." }))
            .Descendants("p").Single(paragraph => paragraph.Attribute("class")?.Value == "notice");
        Assert.Equal("Hardly anything.", notice.Value);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(300, 300)]
    [InlineData(301, 151)] // means of two
    [InlineData(5000, 295)] // of seventeen
    public void Long_runs_are_drawn_as_means_of_neighbouring_steps(int steps, int points)
    {
        var chart = Parse(SampleReport.Page(steps: steps)).Descendants("figure").First();
        Assert.Equal(points, chart.Descendants("tbody").Elements("tr").Count());
        Assert.DoesNotContain("NaN", chart.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Ticks_are_few_and_enclose_the_values()
    {
        // A flat line is given room on both sides; that is the last assertion's case.
        Gen.Select(Gen.Double[-1e6, 1e6], Gen.Double[-1e6, 1e6]).Where((a, b) => Math.Abs(a - b) > 1e-6 * Math.Max(Math.Abs(a), Math.Abs(b))).Sample((a, b) =>
        {
            var (low, high) = (Math.Min(a, b), Math.Max(a, b));
            double[] ticks = LineChart.Ticks(low, high);
            double step = ticks[1] - ticks[0];
            Assert.InRange(ticks.Length, 2, 8);
            Assert.InRange(low, ticks[0] - (1e-6 * step), ticks[0] + (1.000001 * step));
            Assert.InRange(high, ticks[^1] - (1.000001 * step), ticks[^1] + (1e-6 * step));
        });
        Assert.Equal([0, 0.2, 0.4, 0.6], LineChart.Ticks(0.05, 0.58), (x, y) => Math.Abs(x - y) < 1e-12);
        Assert.True(LineChart.Ticks(0, 0) is [< 0, .., > 0]);
    }

    /// <summary>What follows a heading of the second level, up to the next.</summary>
    private static XElement Section(XDocument page, string heading)
    {
        var start = page.Descendants("h2").Single(element => element.Value == heading);
        return new XElement("section", start.ElementsAfterSelf().TakeWhile(element => element.Name.LocalName != "h2"));
    }

    private static XDocument Parse(byte[] page)
    {
        using var reader = XmlReader.Create(new MemoryStream(page), new XmlReaderSettings { DtdProcessing = DtdProcessing.Ignore });
        return XDocument.Load(reader, LoadOptions.PreserveWhitespace);
    }
}
