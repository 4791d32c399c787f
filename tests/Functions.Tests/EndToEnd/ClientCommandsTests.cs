using System.CommandLine;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.Cli;
using RlhfFunctions.LocalHost.Cli;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>The command line as a client of an app that has finished a run.</summary>
[Collection(nameof(RunTests))]
public sealed class ClientCommandsTests(RunTests.FinishedRun finished)
{
    private string Url => finished.App.Http.BaseAddress!.ToString();

    [Fact]
    public async Task Runs_are_a_table_or_the_answer_itself()
    {
        var rows = await RunAsync("runs", "--url", Url);
        Assert.Contains(rows, row => row.StartsWith("whole | completed | ", StringComparison.Ordinal) && row.Contains(" | 3 of 3 | ", StringComparison.Ordinal));
        var listed = JsonSerializer.Deserialize<RunListItem[]>(string.Join('\n', await RunAsync("runs", "--json", "--url", Url)), ContractsJson.Options)!;
        Assert.Contains(listed, run => run is { RunId: "whole", Status: "Completed" });
    }

    [Fact]
    public async Task A_run_is_shown_with_what_it_came_to()
    {
        var rows = await RunAsync("show", "whole", "--url", Url);
        Assert.Contains("state | completed", rows);
        Assert.Contains($"hate after | {finished.View.Outcome!.LabelAfter:F3}", rows);
        Assert.Contains("base model | file:samples/models/llama", rows);
        var shown = JsonSerializer.Deserialize<RunView>(string.Join('\n', await RunAsync("show", "whole", "--json", "--url", Url)), ContractsJson.Options)!;
        Assert.Equal(finished.View.Outcome.LabelAfter, shown.Outcome!.LabelAfter);
    }

    [Fact]
    public async Task The_log_has_a_line_a_step()
    {
        var lines = await RunAsync("logs", "whole", "--follow", "--url", Url);
        Assert.Equal(["step 1", "step 2", "step 3"], lines.Where(line => line.Length > 0).Select(line => line.Split(" · ")[0]));
        Assert.Contains(" · KL 0.00 · ", lines[0], StringComparison.Ordinal); // the adapter starts as the reference
        var first = JsonNode.Parse((await RunAsync("logs", "whole", "--json", "--url", Url))[0])!;
        Assert.True(double.IsFinite(first[MetricNames.RewardMean]!.GetValue<double>()));
    }

    [Fact]
    public async Task Texts_are_written_by_the_adapter_that_is_named()
    {
        string[] command = ["generate", "#Person1#: Hello.\n#Person2#: Bye.", "--dialogue", "--run", "whole", "--seed", "7", "--max-tokens", "5", "--url", Url];
        var answer = JsonSerializer.Deserialize<GenerateAnswer>(string.Join('\n', await RunAsync([.. command, "--json"])), ContractsJson.Options)!;
        Assert.Equal(("whole", 7), (answer.RunId, answer.Seed));
        Assert.InRange(answer.Texts[0].Tokens, 1, 5);
        Assert.Equal(answer.Texts[0].Text.Trim(), string.Join('\n', await RunAsync(command)).Trim());
    }

    [Fact]
    public async Task A_run_is_suspended_resumed_and_cancelled()
    {
        using (await finished.App.PostRunAsync(TinyRun.Request("by-hand", steps: 500))) { }
        await finished.App.WaitAsync("by-hand", view => view.Status == "Running", TimeSpan.FromMinutes(2));
        Assert.Contains(await RunAsync("suspend", "by-hand", "--reason", "lunch", "--url", Url), row => row.StartsWith("run | by-hand", StringComparison.Ordinal));
        await finished.App.WaitAsync("by-hand", view => view.Status == "Suspended", TimeSpan.FromMinutes(2));
        await RunAsync("resume", "by-hand", "--url", Url);
        var cancelled = JsonSerializer.Deserialize<RunView>(string.Join('\n', await RunAsync("cancel", "by-hand", "--json", "--url", Url)), ContractsJson.Options)!;
        Assert.Equal("by-hand", cancelled.RunId);
        var events = (await finished.App.Http.GetFromJsonAsync<RunEvent[]>("/api/runs/by-hand/events", ContractsJson.Options))!;
        Assert.Equal([RunEventKind.Created, RunEventKind.Suspended, RunEventKind.Resumed, RunEventKind.Cancelled], events.Select(one => one.Kind));
        Assert.Equal("lunch", events[1].Reason);
        var error = await Assert.ThrowsAsync<UserErrorException>(() => RunAsync("cancel", "whole", "--url", Url));
        Assert.Contains("It is completed", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_run_is_chatted_with()
    {
        string[] command = ["chat", "Hello, Tom.", "--model", "whole", "--max-tokens", "6", "--url", Url];
        string said = string.Join('\n', await RunAsync(command)).Trim();
        string json = Assert.Single(await RunAsync([.. command, "--json"]), line => line.Length > 0);
        Assert.Equal(said, JsonNode.Parse(json)!["content"]!.GetValue<string>().Trim());
        var error = await Assert.ThrowsAsync<UserErrorException>(() => RunAsync("chat", "Hello", "--model", "nobody", "--url", Url));
        Assert.Contains("GET /api/v1/models", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_wrong_is_said_in_the_words_of_the_app()
    {
        var error = await Assert.ThrowsAsync<UserErrorException>(() => RunAsync("show", "nobody", "--url", Url));
        Assert.Contains("No run has the id nobody", error.Message, StringComparison.Ordinal);
        error = await Assert.ThrowsAsync<UserErrorException>(() => RunAsync("generate", "Hello", "--temperature", "-1", "--url", Url));
        Assert.Contains("temperature", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_key_comes_from_the_environment_and_goes_into_a_header()
    {
        string? key = null, query = null;
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        await using var server = builder.Build();
        server.MapGet("/api/runs", (HttpContext http) =>
        {
            (key, query) = (http.Request.Headers["x-functions-key"], http.Request.QueryString.Value);
            return http.Response.WriteAsync("[]");
        });
        await server.StartAsync();
        using var client = new RunClient(new Uri(server.Urls.Single()), "sesame");
        Assert.Empty(await client.ListAsync("", CancellationToken.None));
        Assert.Equal(("sesame", ""), (key, query));
    }

    [Theory]
    [InlineData("localhost:7071")]
    [InlineData("ftp://localhost")]
    [InlineData("here")]
    public void An_address_that_is_none_is_refused(string url)
    {
        var root = new RootCommand();
        foreach (var command in new ClientCommands(Spectre.Console.AnsiConsole.Console).All()) root.Add(command);
        Assert.Contains("is no address", Assert.Single(root.Parse(["runs", "--url", url]).Errors).Message, StringComparison.Ordinal);
    }

    private static async Task<IReadOnlyList<string>> RunAsync(params string[] arguments)
    {
        using var text = new ConsoleText();
        var root = new RootCommand();
        foreach (var command in new ClientCommands(text.Console).All()) root.Add(command);
        var parsed = root.Parse(arguments);
        Assert.Empty(parsed.Errors);
        await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        return text.Rows();
    }
}
