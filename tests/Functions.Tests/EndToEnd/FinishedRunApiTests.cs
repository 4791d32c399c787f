using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.Reports;
using RlhfFunctions.LocalHost.Hosting;
using RlhfFunctions.Reports;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>What the HTTP API tells of a finished run, and does with its adapter.</summary>
[Collection(nameof(RunTests))]
public sealed class FinishedRunApiTests(RunTests.FinishedRun finished)
{
    [Fact]
    public async Task The_report_is_a_page_with_what_was_published()
    {
        string html = await PageAsync("/api/runs/whole/report?code=sesame");
        Assert.Contains("<h1>Run whole</h1>", html, StringComparison.Ordinal);
        Assert.Contains("class=\"notice\"", html, StringComparison.Ordinal);
        Assert.Contains($"<strong>{finished.View.Outcome!.LabelAfter:F3}</strong> after", html, StringComparison.Ordinal);
        var links = Regex.Matches(html, "href=\"(/[^\"]*)\"").Select(link => WebUtility.HtmlDecode(link.Groups[1].Value)).ToList();
        Assert.Equal(8, links.Count);
        foreach (string link in links)
        {
            Assert.EndsWith("code=sesame", link, StringComparison.Ordinal);
            using var answer = await GetAsync(link);
            Assert.True(answer.IsSuccessStatusCode, link);
        }
    }

    [Fact]
    public async Task Runs_are_listed_and_compared_as_pages()
    {
        Assert.Contains("href=\"/api/runs/whole/report\"", await PageAsync("/api/pages/runs"), StringComparison.Ordinal);
        string comparison = await PageAsync("/api/pages/compare?run=whole&run=whole");
        Assert.Contains("over 3 steps", comparison, StringComparison.Ordinal);
        using var unknown = await GetAsync("/api/pages/compare?run=whole&run=nobody");
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        using var many = await GetAsync("/api/pages/compare?run=a&run=b&run=c&run=d&run=e&run=f&run=g");
        Assert.Equal(HttpStatusCode.BadRequest, many.StatusCode);
        Assert.Contains("too-many-to-compare", await many.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Published_files_are_served_whole_and_in_ranges()
    {
        byte[] weights = await finished.App.ReadBlobAsync(BlobPaths.Published("whole", RunFiles.AdapterWeights));
        using var whole = await GetAsync($"/api/runs/whole/files/{RunFiles.AdapterWeights}");
        Assert.Equal(weights, await whole.Content.ReadAsByteArrayAsync());
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/runs/whole/files/{RunFiles.AdapterWeights}") { Headers = { Range = new RangeHeaderValue(8, 107) } };
        using var range = await finished.App.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.PartialContent, range.StatusCode);
        Assert.Equal(weights[8..108], await range.Content.ReadAsByteArrayAsync());
        foreach (string name in new[] { "request.json", "adapter", "../whole/report.html", "nothing" })
        {
            using var none = await GetAsync($"/api/runs/whole/files/{Uri.EscapeDataString(name)}");
            Assert.Equal(HttpStatusCode.NotFound, none.StatusCode);
        }
    }

    [Fact]
    public async Task TensorBoard_reads_what_the_metrics_say()
    {
        using var answer = await GetAsync($"/api/runs/whole/files/{RunFiles.Events}");
        var events = EventFileTests.Read(await answer.Content.ReadAsByteArrayAsync());
        var metrics = (await finished.App.Http.GetFromJsonAsync<JsonElement[]>("/api/runs/whole/metrics"))!;
        Assert.Equal(metrics.Length + 1, events.Count);
        foreach (var (step, written) in metrics.Zip(events.Skip(1)))
        {
            Assert.Equal(step.GetProperty("step").GetInt64(), written.Step);
            Assert.Equal(step.EnumerateObject().Count() - 1, written.Scalars.Count);
            Assert.Equal((float)step.GetProperty(MetricNames.RewardMean).GetDouble(), written.Scalars[MetricNames.RewardMean]);
        }

        Assert.Equal(finished.View.CreatedAt!.Value.ToUnixTimeMilliseconds() / 1e3, events[0].WallTime, 3);
    }

    [Fact]
    public async Task Metrics_are_an_array_of_what_was_published()
    {
        using var answer = await GetAsync("/api/runs/whole/metrics");
        using var metrics = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        string lines = Encoding.UTF8.GetString(await finished.App.ReadBlobAsync(BlobPaths.Published("whole", RunFiles.Metrics)));
        Assert.Equal(
            lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement.ToString()),
            metrics.RootElement.EnumerateArray().Select(step => step.ToString()));
    }

    [Fact]
    public async Task Its_adapter_and_the_merged_model_are_exported_from_storage()
    {
        string folder = Directory.CreateTempSubdirectory("rlhf-export-").FullName;
        try
        {
            foreach (string format in new[] { "peft", "gguf" })
            {
                using var export = HostProcess.Start(["export", "--run", "whole", "--format", format, "--output", folder, .. finished.App.HostArguments]);
                Assert.True(await export.WaitAsync(TimeSpan.FromMinutes(2)) == 0, export.Error);
            }

            byte[] published = await finished.App.ReadBlobAsync(BlobPaths.Published("whole", RunFiles.AdapterWeights));
            Assert.Equal(published, await File.ReadAllBytesAsync(Path.Combine(folder, "adapter_model.safetensors")));
            Assert.Equal("GGUF"u8, File.ReadAllBytes(Path.Combine(folder, "model.gguf")).AsSpan(0, 4));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Runs_and_adapters_are_listed()
    {
        var runs = await finished.App.Http.GetFromJsonAsync<RunListItem[]>("/api/runs", ContractsJson.Options);
        var run = Assert.Single(runs!, run => run.RunId == "whole");
        Assert.Equal("Completed", run.Status);
        Assert.Equal(RunPhase.Finished, run.Progress!.Phase);
        Assert.InRange(run.CreatedAt, DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddMinutes(1));

        var adapters = await finished.App.Http.GetFromJsonAsync<AdapterList>("/api/adapters", ContractsJson.Options);
        var adapter = Assert.Single(adapters!.Adapters, adapter => adapter.RunId == "whole");
        Assert.Equal(finished.View.Outcome!.LabelAfter, adapter.LabelAfter);
        Assert.NotEmpty(await finished.App.ReadBlobAsync($"{adapter.Path}/adapter_config.json"));
    }

    [Fact]
    public async Task The_adapter_writes_and_the_same_seed_writes_the_same()
    {
        var dialogues = new[] { "#Person1#: Hello, Tom.\n#Person2#: Hello, Anna.", "#Person1#: Bye.\n#Person2#: See you." };
        string first = await GenerateAsync(new { runId = "whole", dialogues, seed = 7 });
        var answer = JsonSerializer.Deserialize<GenerateAnswer>(first, ContractsJson.Options)!;
        Assert.Equal(WrittenBy.Adapter, answer.WrittenBy);
        Assert.Equal("whole", answer.RunId);
        Assert.Equal("file:samples/models/llama", answer.Model);
        Assert.Equal(7, answer.Seed);
        Assert.Equal(2, answer.Texts.Count);
        Assert.All(answer.Texts, text => Assert.InRange(text.Tokens, 1, 16)); // the run's own limit

        Assert.Equal(first, await GenerateAsync(new { runId = "whole", dialogues, seed = 7 }));
        Assert.NotEqual(first, await GenerateAsync(new { runId = "whole", dialogues, seed = 8 }));

        // A dialogue is what the run's template makes of it.
        string template = finished.Request.Data.PromptTemplate;
        var prompts = dialogues.Select(dialogue => template.Replace("{dialogue}", dialogue, StringComparison.Ordinal));
        Assert.Equal(first, await GenerateAsync(new { runId = "whole", prompts, seed = 7 }));
    }

    [Fact]
    public async Task At_temperature_zero_the_seed_does_not_matter()
    {
        string[] dialogues = ["#Person1#: Hello, Tom.\n#Person2#: Hello, Anna."];
        string first = await GenerateAsync(new { runId = "whole", dialogues, temperature = 0, maxNewTokens = 5, seed = 1 });
        string second = await GenerateAsync(new { runId = "whole", dialogues, temperature = 0, maxNewTokens = 5, seed = 2 });
        Assert.Equal(first, second.Replace("\"seed\":2", "\"seed\":1", StringComparison.Ordinal));
    }

    private async Task<string> PageAsync(string path)
    {
        using var answer = await GetAsync(path);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(("text/html", "utf-8"), (answer.Content.Headers.ContentType?.MediaType, answer.Content.Headers.ContentType?.CharSet));
        Assert.StartsWith(Page.ContentSecurityPolicy, Assert.Single(answer.Headers.GetValues("Content-Security-Policy")), StringComparison.Ordinal);
        return await answer.Content.ReadAsStringAsync();
    }

    private Task<HttpResponseMessage> GetAsync(string path)
    {
        return finished.App.Http.GetAsync(new Uri(path, UriKind.Relative));
    }

    private async Task<string> GenerateAsync(object request)
    {
        using var answer = await finished.App.Http.PostAsJsonAsync("/api/generate", request);
        string body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, body);
        return body;
    }
}
