using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using RlhfFunctions.Reports;

namespace RlhfFunctions.Functions.Tests.Reports;

/// <summary>The pages as a reader meets them, in a real browser.</summary>
public sealed class PagesInBrowserTests : IDisposable
{
    private const string Here = "document.activeElement";
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("rlhf-page-");

    [Theory]
    [InlineData(400)]
    [InlineData(1280)]
    public async Task Nothing_is_cut_off_or_overlaps_the_edge(int width)
    {
        await using var browser = await Browser.StartAsync();
        foreach (string name in SamplePages.All.Keys)
        {
            await browser.ShowAsync(File(name), width);
            await browser.EvaluateAsync<int>("(document.querySelectorAll('details').forEach(d => d.open = true), 0)");
            Assert.Equal(width, await browser.EvaluateAsync<int>("innerWidth"));
            Assert.InRange(await browser.EvaluateAsync<int>("document.documentElement.scrollWidth"), 1, width);
            Assert.Equal("", await browser.EvaluateAsync<string>(
                "[...document.querySelectorAll('main *, header *, nav *')].filter(e => e.getBoundingClientRect().right > innerWidth + 0.5 && !e.closest('.scroll'))"
                + ".map(e => e.outerHTML.slice(0, 80)).join('\\n')"));
            // What the smallest text of a drawing comes to on the screen, in pixels.
            double[] sizes = [.. (await browser.EvaluateAsync<string>(
                "[...document.querySelectorAll('figure > svg')].map(s => 12 * s.getBoundingClientRect().width / s.viewBox.baseVal.width).join(' ')"))
                .Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(size => double.Parse(size, System.Globalization.CultureInfo.InvariantCulture))];
            Assert.All(sizes, size => Assert.InRange(size, 9.5, 20));
        }
    }

    [Fact]
    public async Task Axe_finds_no_violation()
    {
        await using var browser = await Browser.StartAsync();
        foreach (var (name, width, isDark) in SamplePages.All.Keys.SelectMany((name, i) => new[] { (name, 400, i % 2 == 0), (name, 1280, i % 2 == 1) }))
        {
            await browser.ShowAsync(File(name), width, isDark);
            await browser.EvaluateAsync<int>("(document.querySelectorAll('details').forEach(d => d.open = true), 0)");
            string found = await browser.FindViolationsAsync();
            Assert.True(found.Length == 0, $"{name}: {found}");
        }
    }

    [Fact]
    public async Task A_live_page_follows_its_run_without_losing_what_is_open_or_where_the_focus_is()
    {
        int done = 4;
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        await using var server = builder.Build();
        server.MapGet("/api/runs/a/report", (HttpContext http) =>
        {
            http.Response.Headers.ContentSecurityPolicy = Page.ContentSecurityPolicy; // which lets the page's script run, and ask here
            http.Response.ContentType = "text/html; charset=utf-8";
            byte[] page = done < 8 ? SamplePages.Live(SamplePages.Run("a", "Running", done, 1)) : SamplePages.All["finished"]();
            return http.Response.Body.WriteAsync(page).AsTask();
        });
        await server.StartAsync();

        await using var browser = await Browser.StartAsync();
        await browser.ShowAsync(server.Urls.Single() + "/api/runs/a/report", 1280);
        await browser.EvaluateAsync<int>("(document.querySelector('#chart-1-numbers').open = true, document.querySelector('#chart-1-open').focus(), window.kept = 1)");
        Assert.Equal(4, await browser.EvaluateAsync<int>("document.querySelectorAll('#chart-1-numbers tbody tr').length"));
        done = 5;
        await WaitAsync("document.querySelectorAll('#chart-1-numbers tbody tr').length > 4 ? 1 : 0");
        Assert.Equal("5", await browser.EvaluateAsync<string>("document.querySelector('progress').getAttribute('value')"));
        Assert.True(await browser.EvaluateAsync<bool>("document.querySelector('#chart-1-numbers').open"));
        Assert.Equal("chart-1-open", await browser.EvaluateAsync<string>($"{Here}.id"));
        Assert.Equal(1, await browser.EvaluateAsync<int>("window.kept")); // it is the same page still
        done = 8;
        await WaitAsync("document.querySelector('h2')?.textContent === 'Before and after' ? 1 : 0"); // the run has finished

        async Task WaitAsync(string expression)
        {
            for (var deadline = DateTime.UtcNow.AddSeconds(30); await browser.EvaluateAsync<int>(expression) == 0; await Task.Delay(100))
                Assert.True(DateTime.UtcNow < deadline, expression);
        }
    }

    [Fact]
    public async Task The_keyboard_reaches_everything_that_opens_and_opens_it()
    {
        await using var browser = await Browser.StartAsync();
        await browser.ShowAsync(File("report"), 400);
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
        await using var browser = await Browser.StartAsync();
        foreach (string name in SamplePages.All.Keys)
        {
            await browser.ShowAsync(File(name), 1280, isDark);
            double background = await browser.EvaluateAsync<double>("+getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]");
            Assert.Equal(isDark, background < 128);
            Assert.InRange(await browser.EvaluateAsync<double>(LowestContrast), 4.5, 21); // WCAG 2, level AA
        }
    }

    [Fact]
    public async Task The_keyboard_chooses_runs_and_sends_them_to_the_comparison()
    {
        await using var browser = await Browser.StartAsync();
        await browser.ShowAsync(File("list"), 400);
        for (int chosen = 0, tabs = 0; chosen < 2; tabs++)
        {
            Assert.InRange(tabs, 0, 30);
            await TabAsync(browser);
            if (!await browser.EvaluateAsync<bool>($"{Here}.type === 'checkbox'")) continue;
            Assert.NotEqual("none", await browser.EvaluateAsync<string>($"getComputedStyle({Here}).outlineStyle"));
            await browser.PressAsync(" ", 32, " ");
            chosen++;
        }

        Assert.Equal(
            "code=k%2Fe%2By%3D%3D&run=a-run-that-learns&run=finished-with-half-the-rate",
            await browser.EvaluateAsync<string>("new URLSearchParams(new FormData(document.querySelector('form'))).toString()"));
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

    private string File(string name)
    {
        string path = Path.Combine(_folder.FullName, $"{name}.html");
        System.IO.File.WriteAllBytes(path, SamplePages.All[name]());
        return path;
    }

    private static Task TabAsync(Browser browser)
    {
        return browser.PressAsync("Tab", 9);
    }
}
