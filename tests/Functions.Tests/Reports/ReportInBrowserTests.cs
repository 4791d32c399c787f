namespace RlhfFunctions.Functions.Tests.Reports;

/// <summary>report.html as a reader meets it, in a real browser.</summary>
public sealed class ReportInBrowserTests : IDisposable
{
    private const string Here = "document.activeElement";
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("rlhf-page-");

    [Theory]
    [InlineData(400)]
    [InlineData(1280)]
    public async Task Nothing_is_cut_off_or_overlaps_the_edge(int width)
    {
        await using var browser = await Browser.OpenAsync(Page(), width);
        await browser.EvaluateAsync<int>("(document.querySelectorAll('details').forEach(d => d.open = true), 0)");
        Assert.Equal(width, await browser.EvaluateAsync<int>("innerWidth"));
        Assert.InRange(await browser.EvaluateAsync<int>("document.documentElement.scrollWidth"), 1, width);
        Assert.Equal("", await browser.EvaluateAsync<string>(
            "[...document.querySelectorAll('main *, header *')].filter(e => e.getBoundingClientRect().right > innerWidth + 0.5 && !e.closest('.scroll'))"
            + ".map(e => e.outerHTML.slice(0, 80)).join('\\n')"));
        Assert.InRange(await browser.EvaluateAsync<double>( // what the smallest text of a drawing comes to on the screen, in pixels
            "Math.min(...[...document.querySelectorAll('svg')].map(s => 12 * s.getBoundingClientRect().width / s.viewBox.baseVal.width))"), 9.5, 20);
    }

    [Fact]
    public async Task The_keyboard_reaches_everything_that_opens_and_opens_it()
    {
        await using var browser = await Browser.OpenAsync(Page(), 400);
        int expected = await browser.EvaluateAsync<int>("[...document.querySelectorAll('summary')].filter(s => s.checkVisibility()).length");
        Assert.True(expected > 10, $"{expected} things to open");

        await TabAsync(browser);
        Assert.Equal("#figures", await browser.EvaluateAsync<string>($"{Here}.getAttribute('href')"));
        Assert.InRange(await browser.EvaluateAsync<double>($"{Here}.getBoundingClientRect().left"), 0, 400); // the skip link shows itself

        int opened = 0;
        while (opened < 100)
        {
            await TabAsync(browser);
            if (await browser.EvaluateAsync<bool>($"{Here} === document.body")) break; // past the last one
            if (!await browser.EvaluateAsync<bool>($"{Here}.tagName === 'SUMMARY'")) continue;
            Assert.NotEqual("none", await browser.EvaluateAsync<string>($"getComputedStyle({Here}).outlineStyle"));
            await browser.PressAsync("Enter", 13, "\r");
            Assert.True(await browser.EvaluateAsync<bool>($"{Here}.parentElement.open"));
            opened++;
        }

        Assert.InRange(opened, expected, 100); // what was opened has more in it
        Assert.Equal(0, await browser.EvaluateAsync<int>("[...document.querySelectorAll('details')].filter(d => !d.open).length"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task All_text_stands_out_from_its_background(bool isDark)
    {
        await using var browser = await Browser.OpenAsync(Page(), 1280, isDark);
        double background = await browser.EvaluateAsync<double>("+getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]");
        Assert.Equal(isDark, background < 128);
        Assert.InRange(await browser.EvaluateAsync<double>(LowestContrast), 4.5, 21); // WCAG 2, level AA
    }

    /// <summary>The lowest ratio of luminances between a text and the nearest background that is not transparent.</summary>
    internal const string LowestContrast = """
        (() => {
          const luminance = colour => {
            const [r, g, b] = colour.match(/[\d.]+/g).slice(0, 3).map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const background = e => { const c = getComputedStyle(e).backgroundColor; return /, 0\)$/.test(c) ? background(e.parentElement) : c; };
          const texts = [...document.querySelectorAll('body *:not(desc)')].filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
          return Math.min(...texts.map(e => {
            const style = getComputedStyle(e), colour = e.closest('svg') ? style.fill : style.color;
            const [high, low] = [luminance(colour), luminance(background(e))].sort((a, b) => b - a);
            return (high + 0.05) / (low + 0.05);
          }));
        })()
        """;

    public void Dispose()
    {
        _folder.Delete(recursive: true);
    }

    private string Page()
    {
        string path = Path.Combine(_folder.FullName, "report.html");
        File.WriteAllBytes(path, SampleReport.Page(SampleReport.Report with { NothingToUnlearn = "Hardly anything to unlearn." }));
        return path;
    }

    private static Task TabAsync(Browser browser)
    {
        return browser.PressAsync("Tab", 9);
    }
}
