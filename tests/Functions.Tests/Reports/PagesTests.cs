using System.Security.Cryptography;
using System.Text;
using System.Xml;
using System.Xml.Linq;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.EndToEnd;
using RlhfFunctions.Reports;

namespace RlhfFunctions.Functions.Tests.Reports;

/// <summary>Every page as text: whole, safe, readable for those who do not see it, and leading only where there is something.</summary>
public sealed class PagesTests
{
    public static TheoryData<string> Pages => [.. SamplePages.All.Keys];

    [Theory]
    [MemberData(nameof(Pages))]
    public void The_policy_lets_in_what_stands_in_the_page_and_nothing_else(string name)
    {
        byte[] html = SamplePages.All[name]();
        var page = Parse(html);
        string policy = page.Descendants("meta").Single(meta => meta.Attribute("http-equiv") is not null).Attribute("content")!.Value;
        Assert.Equal(Page.ContentSecurityPolicy, policy);
        Assert.StartsWith("default-src 'none'", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
        foreach (var element in page.Descendants().Where(element => element.Name.LocalName is "style" or "script"))
        {
            string hash = $"'sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(element.Value)))}'";
            Assert.Contains($"{element.Name.LocalName}-src {hash}", policy, StringComparison.Ordinal);
            Assert.Empty(element.Attributes());
        }

        Assert.DoesNotContain(page.Descendants().Attributes(), attribute => attribute.Name.LocalName is "style" or "src" || attribute.Name.LocalName.StartsWith("on", StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void Ids_are_unique_and_what_names_one_finds_it(string name)
    {
        var page = Parse(SamplePages.All[name]());
        string[] ids = [.. page.Descendants().Attributes("id").Select(id => id.Value)];
        Assert.Equal(ids.Length, ids.Distinct().Count());
        Assert.All(page.Descendants().Attributes("aria-labelledby").SelectMany(names => names.Value.Split(' ')), one => Assert.Contains(one, ids));
        Assert.All(page.Descendants("label").Attributes("for"), one => Assert.Contains(one.Value, ids));
        Assert.All(page.Descendants("a").Attributes("href").Where(link => link.Value.StartsWith('#')), link => Assert.Contains(link.Value[1..], ids));
    }

    [Theory]
    [MemberData(nameof(Pages))]
    public void Links_lead_to_functions_there_are_and_carry_the_key_on(string name)
    {
        if (name == "report") return; // a file: its links are those of the files beside it
        string[] there = ["/api/pages/runs", "/api/pages/compare", "/api/pages/history", "/api/campaigns/garden/statistics", "/api/rewards/taste/report", .. SamplePages.Runs().Select(run => $"/api/runs/{run.View.RunId}/report"),
            .. new[] { RunFiles.AdapterConfig, RunFiles.AdapterWeights, RunFiles.Metrics, RunFiles.Evaluation, RunFiles.Samples, RunFiles.Events }.Select(file => $"/api/runs/sample/files/{file}")];
        var page = Parse(SamplePages.All[name]());
        foreach (string link in page.Descendants("a").Attributes("href").Select(link => link.Value).Where(link => !link.StartsWith('#')))
        {
            string[] parts = link.Split('?');
            Assert.Contains(parts[0], there);
            Assert.Equal("code=k%2Fe%2By%3D%3D", parts[1].Split('&')[^1]);
        }

        foreach (var form in page.Descendants("form"))
        {
            Assert.Contains(form.Attribute("action")!.Value, there);
            Assert.Equal("k/e+y==", form.Descendants("input").Single(input => input.Attribute("name")?.Value == "code").Attribute("value")!.Value);
        }
    }

    [Fact]
    public void Without_a_key_links_have_none()
    {
        var links = new PageLinks(null);
        Assert.Equal(("/api/pages/runs", "/api/runs/a/report"), (links.Runs, links.Run("a")));
        Assert.DoesNotContain("code", Encoding.UTF8.GetString(RunsPage.Render([], links)).Split("</style>")[1], StringComparison.Ordinal);
    }

    [Fact]
    public void Only_a_run_that_is_under_way_asks_for_itself_again()
    {
        foreach (string status in new[] { "NotStarted", "Pending", "Running", "Suspended", "Completed", "Failed", "Terminated" })
        {
            var page = Parse(SamplePages.Live(SamplePages.Run("a", status, 3, 1)));
            bool isUnderWay = status is not ("Completed" or "Failed" or "Terminated");
            Assert.Equal(isUnderWay, page.Descendants("main").Single().Attribute("data-refresh") is not null);
            Assert.Equal(isUnderWay, page.Descendants("script").Any());
        }
    }

    [Fact]
    public void A_run_under_way_shows_its_curves_so_far_and_how_long_it_still_takes()
    {
        var page = Parse(SamplePages.All["live"]());
        Assert.Contains("step 24 of 40 is done, about 40 s are left", page.Root!.Value, StringComparison.Ordinal);
        Assert.Equal("24", page.Descendants("progress").Single().Attribute("value")!.Value);
        Assert.All(page.Descendants("figure"), chart => Assert.Equal(24, chart.Descendants("tbody").Elements("tr").Count()));
        Assert.Contains("data.train: file:no/such.csv is not there. <b>Upload</b> it first.", Parse(SamplePages.All["failed"]()).Descendants("p").Select(text => text.Value));
    }

    [Fact]
    public void A_comparison_lays_the_curves_over_each_other_and_tells_runs_apart_without_colour()
    {
        var charts = Parse(SamplePages.All["comparison"]()).Descendants("figure").ToList();
        Assert.Equal(6, charts.Count);
        Assert.All(charts, chart =>
        {
            Assert.Equal(["line0", "line1", "line2"], chart.Descendants("polyline").Select(line => line.Attribute("class")!.Value)); // the one that waits has none yet
            Assert.Equal(4, chart.Descendants("li").Count());
            Assert.Equal(40, chart.Descendants("tbody").Elements("tr").Count());
            Assert.Equal(5, chart.Descendants("tbody").Elements("tr").First().Elements("td").Count());
        });
        foreach (int line in new[] { 1, 2, 3, 4, 5 }) Assert.Matches($@"\.line{line} {{[^}}]*stroke-dasharray", PageStyle.Css);
    }

    [Fact]
    public void A_comparison_names_just_the_settings_that_differ()
    {
        var one = TinyRun.Request("one");
        var other = TinyRun.Request("other") with { Seed = 6, Ppo = one.Ppo! with { Alarms = new AlarmSettings { MaxKl = null } } };
        Assert.Equal(
            [("seed", "5 6"), ("ppo.alarms.maxKl", "30 null")],
            Settings.Differences([one, other]).Select(setting => (setting.Path, string.Join(' ', setting.Values))));
        var terms = one with { Reward = new RewardSettings { Terms = [.. one.Reward!.Terms, new LengthTerm { MaxWords = 12 }] } };
        Assert.Contains(("reward.terms[1].maxWords", " 12"), Settings.Differences([one, terms]).Select(setting => (setting.Path, string.Join(' ', setting.Values))));
        Assert.Empty(Settings.Differences([one, one with { RunId = "same" }]));
    }

    [Fact]
    public void The_chart_of_the_KL_marks_target_and_alarm_near_or_far()
    {
        var request = TinyRun.Request("a");
        var chart = RunCharts.Of(new RunSteps("a", request, SampleReport.Metrics(5))).Single(chart => chart.Title.StartsWith("KL", StringComparison.Ordinal));
        Assert.Equal([new ChartMark("target", 6), new ChartMark("alarm", 30)], chart.Marks);
        Assert.Contains("target 6 ↑, alarm 30 ↑", $"{LineChart.Draw("a", chart)}", StringComparison.Ordinal); // far above: named at the edge

        var close = new StepChart("KL", "nats", [new StepLine("a", [1.0, 4.0])]) { Marks = chart.Marks };
        var drawn = XElement.Parse($"{LineChart.Draw("a", close)}");
        var mark = drawn.Descendants("line").Single(line => line.Attribute("class")!.Value == "mark");
        var line = drawn.Descendants("polyline").Single().Attribute("points")!.Value.Split(' ')[1].Split(',')[1];
        Assert.True(Height(mark.Attribute("y1")!.Value) < Height(line), "6 is above 4.");
        Assert.Contains("alarm 30 ↑", drawn.Value, StringComparison.Ordinal);

        var off = request.Ppo! with { AdaptiveKl = false, Alarms = new AlarmSettings { MaxKl = null } };
        Assert.All(RunCharts.Of(new RunSteps("a", request with { Ppo = off }, SampleReport.Metrics(5))), one => Assert.Empty(one.Marks));

        static double Height(string y) => double.Parse(y, System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact]
    public void A_step_without_a_number_leaves_a_gap()
    {
        var drawn = XElement.Parse($"{LineChart.Draw("a", new StepChart("KL", "nats", [new StepLine("a", [1, 2, null, 3, 4])]))}");
        Assert.Equal([2, 2], drawn.Descendants("polyline").Select(piece => piece.Attribute("points")!.Value.Split(' ').Length));
        Assert.Equal("", drawn.Descendants("tbody").Elements("tr").ElementAt(2).Elements("td").Last().Value);
    }

    private static XDocument Parse(byte[] page)
    {
        using var reader = XmlReader.Create(new MemoryStream(page), new XmlReaderSettings { DtdProcessing = DtdProcessing.Ignore });
        return XDocument.Load(reader, LoadOptions.PreserveWhitespace);
    }
}
