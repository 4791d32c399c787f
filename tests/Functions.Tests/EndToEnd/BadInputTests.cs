using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using RlhfFunctions.Contracts;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>What is wrong is said in one paragraph that names what, where and what to do.</summary>
[Collection(nameof(FreshAppTests))]
public sealed class BadInputTests(RunningApp running)
{
    [Fact]
    public async Task An_unknown_field_is_refused_by_name()
    {
        var body = Body();
        body["ppo"]!["stepz"] = 3;
        string detail = await RefusedAsync(body, HttpStatusCode.BadRequest);
        Assert.Contains("stepz", detail, StringComparison.Ordinal);
        Assert.Contains("ppo", detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{ "kind": "words", "words": ["idiot"], "wight": 2 }""", "wight", "reward.terms[0]")]
    [InlineData("""{ "kind": "poetry" }""", "poetry", "classifier, words, length, repetition")]
    [InlineData("""{ "words": ["idiot"] }""", "kind", "classifier, words, length, repetition")]
    [InlineData("""{ "kind": "length" }""", "maxWords", "reward.terms[0]")]
    [InlineData("""{ "kind": "classifier", "source": "file:samples/models/nothing-here" }""", "nothing-here", "reward.terms[0]")]
    [InlineData("""{ "kind": "classifier", "source": "file:samples/models/reward", "label": "polite" }""", "polite", "nothate, hate")]
    [InlineData("""{ "kind": "classifier", "source": "file:samples/models/llama" }""", "a language model", "reward.terms[0]")]
    [InlineData("null", "null", "reward.terms[0]")]
    public async Task A_reward_that_makes_no_sense_is_refused(string term, string what, string where)
    {
        var body = Body();
        body["reward"]!["terms"] = new JsonArray(JsonNode.Parse(term));
        string detail = await RefusedAsync(body, HttpStatusCode.BadRequest);
        Assert.Contains(what, detail, StringComparison.Ordinal);
        Assert.Contains(where, detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_judge_without_the_label_is_refused()
    {
        var body = Body();
        body["evaluation"]!["label"] = "toxic";
        string detail = await RefusedAsync(body, HttpStatusCode.BadRequest);
        Assert.Contains("evaluation.label", detail, StringComparison.Ordinal);
        Assert.Contains("toxic", detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_field_that_stands_twice_is_refused_by_name()
    {
        string body = Body().ToJsonString().Replace("\"seed\":", "\"seed\":1,\"seed\":", StringComparison.Ordinal);
        Assert.Contains("seed", await RefusedAsync(body, HttpStatusCode.BadRequest), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_negative_step_count_is_refused_with_its_range()
    {
        var body = Body();
        body["ppo"]!["steps"] = -1;
        string detail = await RefusedAsync(body, HttpStatusCode.BadRequest);
        Assert.Contains("ppo.steps", detail, StringComparison.Ordinal);
        Assert.Contains("-1", detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cost_limit_is_refused_where_nobody_has_told_a_price()
    {
        var body = Body();
        body["limits"] = new JsonObject { ["maxCost"] = 5 };
        string detail = await RefusedAsync(body, HttpStatusCode.BadRequest);
        Assert.Contains("limits.maxCost", detail, StringComparison.Ordinal);
        Assert.Contains("RlhfPricePerHour", detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_section_is_refused_by_name()
    {
        var body = Body();
        body.Remove("model");
        Assert.Contains("model", await RefusedAsync(body, HttpStatusCode.BadRequest), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_model_folder_is_refused_with_its_path()
    {
        var body = Body();
        body["model"]!["source"] = "file:samples/models/nothing-here";
        string detail = await RefusedAsync(body, HttpStatusCode.BadRequest);
        Assert.Contains(Path.Combine("samples", "models", "nothing-here"), detail, StringComparison.Ordinal);
        Assert.Contains("does not exist", detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_that_is_no_json_is_refused_with_its_place()
    {
        Assert.Contains("Line 2", await RefusedAsync("{\n  nonsense\n}", HttpStatusCode.BadRequest), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_run_that_is_not_there_is_not_found()
    {
        using var answer = await running.App.Http.GetAsync(new Uri("/api/runs/nobody", UriKind.Relative));
        Assert.Contains("nobody", await ReadProblemAsync(answer, HttpStatusCode.NotFound), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_taken_port_ends_the_command_with_a_paragraph()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        int port = ((IPEndPoint)taken.LocalEndpoint).Port;
        await FailsAsync(["start", "--port", $"{port}", "--azurite-port", $"{AzuriteFixture.FreePorts()}", "--data", NewFolder()], $"{port}", "--port");
    }

    [Fact]
    public async Task A_port_of_Azurite_held_by_something_else_ends_the_command_with_a_paragraph()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        int port = ((IPEndPoint)taken.LocalEndpoint).Port;
        _ = taken.AcceptTcpClientAsync().ContinueWith(client => client.Result.Dispose(), TaskScheduler.Default);
        await FailsAsync(["start", "--port", $"{AzuriteFixture.FreePort()}", "--azurite-port", $"{port}", "--data", NewFolder()], $"{port}", "not Azurite");
    }

    [Fact]
    public async Task Without_Node_the_command_says_where_to_get_it()
    {
        string[] arguments = ["start", "--port", $"{AzuriteFixture.FreePort()}", "--azurite-port", $"{AzuriteFixture.FreePorts()}", "--data", NewFolder()];
        await FailsAsync(arguments, "Node.js", "https://nodejs.org", path: NewFolder());
    }

    [Fact]
    public async Task A_negative_step_count_on_the_command_line_ends_it_with_a_paragraph()
    {
        await FailsAsync(["demo", "--steps", "-3", "--data", NewFolder()], "ppo.steps", "-3");
    }

    private static JsonObject Body()
    {
        return JsonSerializer.SerializeToNode(TinyRun.Request("bad"), ContractsJson.Options)!.AsObject();
    }

    private Task<string> RefusedAsync(JsonObject body, HttpStatusCode status)
    {
        return RefusedAsync(body.ToJsonString(), status);
    }

    private async Task<string> RefusedAsync(string body, HttpStatusCode status)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        using var answer = await running.App.Http.PostAsync(new Uri("/api/runs", UriKind.Relative), content);
        string detail = await ReadProblemAsync(answer, status);
        Assert.Null(await running.App.FindRunAsync("bad")); // nothing was begun
        return detail;
    }

    private static async Task<string> ReadProblemAsync(HttpResponseMessage answer, HttpStatusCode status)
    {
        Assert.Equal(status, answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        using var problem = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        Assert.Equal((int)status, problem.RootElement.GetProperty("status").GetInt32());
        Assert.False(string.IsNullOrEmpty(problem.RootElement.GetProperty("type").GetString()));
        Assert.False(string.IsNullOrEmpty(problem.RootElement.GetProperty("title").GetString()));
        return problem.RootElement.GetProperty("detail").GetString()!;
    }

    private static async Task FailsAsync(IReadOnlyList<string> arguments, string names, string advises, string? path = null)
    {
        using var host = HostProcess.Start(arguments, path);
        Assert.Equal(1, await host.WaitAsync(TimeSpan.FromSeconds(60)));
        Assert.Contains(names, host.Error, StringComparison.Ordinal);
        Assert.Contains(advises, host.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", host.Error, StringComparison.Ordinal); // no stack trace
    }

    private static string NewFolder()
    {
        return Directory.CreateTempSubdirectory("rlhf-bad-").FullName;
    }
}
