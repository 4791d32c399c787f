using System.ClientModel;
using System.ClientModel.Primitives;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Models;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>What an adapter, a checkpoint, the base model and a reward do for whoever asks over HTTP.</summary>
[Collection(nameof(RunTests))]
public sealed class InferenceTests(RunTests.FinishedRun finished)
{
    private const string Greeting = "#Person1#: Hello, Tom.\n#Person2#: Hello, Anna.";

    private HttpClient Http => finished.App.Http;

    [Fact]
    public async Task Several_samples_are_written_and_the_first_differs_from_the_next()
    {
        var answer = await GenerateAsync(new { runId = "whole", dialogues = new[] { Greeting, Greeting }, samples = 3, seed = 7 });
        Assert.Equal(6, answer.Texts.Count);
        Assert.True(answer.Texts.Select(text => text.Text).Distinct().Count() > 1);
        await RefusedAsync("/api/generate", new { prompts = new[] { "a", "b" }, samples = 129 }, HttpStatusCode.BadRequest, "samples");
    }

    [Fact]
    public async Task A_checkpoint_and_the_base_model_write_too()
    {
        var prompts = new[] { "Hello" };
        var last = await GenerateAsync(new { runId = "whole", prompts, step = 3 });
        Assert.Equal((WrittenBy.Adapter, "whole"), (last.WrittenBy, last.RunId));
        Assert.Equal((await GenerateAsync(new { runId = "whole", prompts })).Texts, last.Texts);
        var alone = await GenerateAsync(new { runId = "whole", prompts, @base = true });
        Assert.Equal((WrittenBy.Base, null), (alone.WrittenBy, alone.RunId));
        Assert.Equal((await GenerateAsync(new { runId = "whole", prompts, step = 0 })).Texts, alone.Texts); // it starts as the reference
        await RefusedAsync("/api/generate", new { runId = "whole", prompts, step = 77 }, HttpStatusCode.NotFound, "77");
        await RefusedAsync("/api/generate", new { prompts, step = 1 }, HttpStatusCode.BadRequest, "runId");
    }

    [Fact]
    public async Task A_stream_brings_the_same_texts_piece_by_piece()
    {
        var request = new { runId = "whole", dialogues = new[] { Greeting, "#Person1#: Bye." }, seed = 7 };
        var whole = await GenerateAsync(request);
        using var answer = await Http.PostAsJsonAsync("/api/generate", new { request.runId, request.dialogues, request.seed, stream = true });
        Assert.Equal("text/event-stream", answer.Content.Headers.ContentType?.MediaType);
        string[] events = (await answer.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("data: [DONE]", events[^1]);
        var pieces = events[..^1].Select(one => JsonSerializer.Deserialize<TextPiece>(one["data: ".Length..], ContractsJson.Options)!).ToList();
        Assert.True(pieces.Count > 4, $"{pieces.Count} pieces");
        for (int i = 0; i < 2; i++)
        {
            Assert.Equal(whole.Texts[i].Text, string.Concat(pieces.Where(piece => piece.Index == i).Select(piece => piece.Text)));
            Assert.Equal(whole.Texts[i], Assert.Single(pieces, piece => piece.Index == i && piece.Whole is not null).Whole);
        }

        await RefusedAsync("/api/generate", new { runId = "whole", prompts = new[] { "a" }, maxNewTokens = 99_999, stream = true }, HttpStatusCode.BadRequest, "context");
    }

    [Fact]
    public async Task A_reward_judges_texts()
    {
        using var answer = await Http.PostAsJsonAsync("/api/score", new { runId = "whole", texts = new[] { "They talk about lunch.", "He is an idiot and a fool." } });
        string body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, body);
        var scores = JsonSerializer.Deserialize<ScoreAnswer>(body, ContractsJson.Options)!.Scores;
        Assert.True(scores[0].Score > scores[1].Score, body);
        Assert.True(scores[0].LabelProbability < scores[1].LabelProbability, body);
        Assert.All(scores, score => Assert.Equal(score.Score, Assert.Single(score.Terms).Value, 5));
        await RefusedAsync("/api/score", new { runId = "whole", texts = Array.Empty<string>() }, HttpStatusCode.BadRequest, "texts");
        await RefusedAsync("/api/score", new { runId = "nobody", texts = new[] { "a" } }, HttpStatusCode.NotFound, "nobody");
    }

    [Fact]
    public async Task A_client_of_OpenAI_chats()
    {
        var chat = new ChatClient("whole", new ApiKeyCredential("sesame"), Options());
        var settings = new ChatCompletionOptions { MaxOutputTokenCount = 6, Temperature = 0 };
        ChatMessage[] messages = [new SystemChatMessage("Be kind."), new UserChatMessage("Hello, Tom.")];
        ChatCompletion completion = await chat.CompleteChatAsync(messages, settings, TestContext.Current.CancellationToken);
        Assert.Equal("whole", completion.Model);
        Assert.Equal(ChatMessageRole.Assistant, completion.Role);
        Assert.InRange(completion.Usage.OutputTokenCount, 1, 6);
        Assert.Equal(completion.Usage.OutputTokenCount == 6 ? ChatFinishReason.Length : ChatFinishReason.Stop, completion.FinishReason);
        Assert.NotEqual(0, completion.Usage.InputTokenCount);

        var streamed = new StringBuilder();
        int updates = 0;
        await foreach (var update in chat.CompleteChatStreamingAsync(messages, settings, TestContext.Current.CancellationToken))
        {
            updates++;
            foreach (var part in update.ContentUpdate) streamed.Append(part.Text);
        }

        Assert.True(updates > 1);
        Assert.Equal(completion.Content[0].Text, streamed.ToString());
        var written = await GenerateAsync(new { runId = "whole", prompts = new[] { "Be kind.\nHello, Tom." }, maxNewTokens = 6, temperature = 0 });
        Assert.Equal(written.Texts[0].Text, completion.Content[0].Text); // the sample model has no chat template

        var refused = await Assert.ThrowsAsync<ClientResultException>(() => new ChatClient("nobody", new ApiKeyCredential("k"), Options()).CompleteChatAsync(messages));
        Assert.Equal(404, refused.Status);
    }

    [Fact]
    public async Task A_client_of_OpenAI_lists_the_models()
    {
        var models = await new OpenAIModelClient(new ApiKeyCredential("sesame"), Options()).GetModelsAsync(TestContext.Current.CancellationToken);
        Assert.Contains("latest", models.Value.Select(model => model.Id));
        Assert.Contains("whole", models.Value.Select(model => model.Id));
        await RefusedAsync("/api/v1/chat/completions", new { model = "whole", messages = Array.Empty<object>() }, HttpStatusCode.BadRequest, "messages");
        await RefusedAsync("/api/v1/chat/completions", new { model = "whole", n = 2, messages = new[] { new { role = "user", content = "a" } } }, HttpStatusCode.BadRequest, "/api/generate");
    }

    [Fact]
    public async Task The_adapter_of_a_run_is_let_serve_and_a_run_that_has_none_is_refused()
    {
        using var body = new StringContent("", Encoding.UTF8, "application/json");
        using var promoted = await Http.PostAsync(new Uri("/api/adapters/whole/promote", UriKind.Relative), body);
        Assert.Equal(HttpStatusCode.OK, promoted.StatusCode);
        Assert.Equal("whole", (await promoted.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("runId").GetString());
        using var serves = await Http.DeleteAsync(new Uri("/api/runs/whole", UriKind.Relative));
        Assert.Equal(HttpStatusCode.Conflict, serves.StatusCode);
        await RefusedAsync("/api/adapters/nobody/promote", new { }, HttpStatusCode.NotFound, "nobody");
        await RefusedAsync("/api/adapters/rollback", new { }, HttpStatusCode.BadRequest, "whole"); // none served before
    }

    [Fact]
    public async Task What_served_before_serves_again_after_a_rollback()
    {
        await finished.App.Blobs.GetBlobContainerClient(BlobPaths.Adapters).DeleteBlobIfExistsAsync("latest.json", cancellationToken: TestContext.Current.CancellationToken);
        await finished.App.PlantTwinAsync("whole", "twin");
        foreach (string run in new[] { "whole", "twin" }) await DoAsync($"/api/adapters/{run}/promote");
        Assert.Equal("twin", (await GenerateAsync(new { prompts = new[] { "Hello" }, maxNewTokens = 1 })).RunId);

        // The app is ready as long as what serves is there.
        const string Manifest = $"{BlobPaths.Runs}/twin/manifest.json";
        byte[] whole = await finished.App.ReadBlobAsync(Manifest);
        await finished.App.WriteBlobAsync(Manifest, BinaryData.FromString("{}"));
        Assert.Contains("not-ready", await ReadinessAsync(HttpStatusCode.ServiceUnavailable), StringComparison.Ordinal);
        await finished.App.WriteBlobAsync(Manifest, BinaryData.FromBytes(whole));
        Assert.Equal("""{"status":"ready"}""", await ReadinessAsync(HttpStatusCode.OK));

        var rolledBack = await DoAsync("/api/adapters/rollback?reason=rude");
        Assert.Equal("whole", rolledBack.GetProperty("runId").GetString());
        var change = rolledBack.GetProperty("history").EnumerateArray().Last();
        Assert.Equal(
            ("rolledBack", "twin", "rude"),
            (change.GetProperty("kind").GetString(), change.GetProperty("takenBack").GetString(), change.GetProperty("reason").GetString()));
        Assert.Equal("whole", (await GenerateAsync(new { prompts = new[] { "Hello" }, maxNewTokens = 1 })).RunId);
        Assert.Equal("whole", (await Http.GetFromJsonAsync<AdapterList>("/api/adapters", ContractsJson.Options))!.Latest);
        await RefusedAsync("/api/adapters/rollback", new { }, HttpStatusCode.BadRequest, "whole"); // not to what was taken back
        using var gone = await Http.DeleteAsync(new Uri("/api/runs/twin", UriKind.Relative));
        Assert.Equal(HttpStatusCode.NoContent, gone.StatusCode);
    }

    [Fact]
    public async Task Dialogues_are_uploaded_and_can_be_named()
    {
        byte[] csv = await File.ReadAllBytesAsync(Path.Combine(Repository.Root, "samples", "dialogues", "test.csv"), TestContext.Current.CancellationToken);
        using var put = await PutAsync("mine/test.csv", csv, "text/csv");
        Assert.Equal(HttpStatusCode.Created, put.StatusCode);
        string source = (await put.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("source").GetString()!;
        Assert.Equal("blob:dialogues/mine/test.csv", source);
        Assert.Equal(csv, await finished.App.ReadBlobAsync("dialogues/mine/test.csv"));
        var request = TinyRun.Request("uploaded");
        using var checkedOnly = await Http.PostAsJsonAsync("/api/runs?validate=true", request with { Data = request.Data with { Test = source } }, ContractsJson.Options);
        Assert.Equal(HttpStatusCode.OK, checkedOnly.StatusCode);

        foreach (var (name, type, status) in new[]
        {
            ("mine/test.txt", "text/csv", HttpStatusCode.BadRequest), ("mine/.hidden.csv", "text/csv", HttpStatusCode.BadRequest),
            ("mine/test.csv", "application/json", HttpStatusCode.UnsupportedMediaType),
        })
        {
            using var refused = await PutAsync(name, csv, type);
            Assert.True(refused.StatusCode == status, $"{name} {type}: {refused.StatusCode}");
        }
    }

    [Fact]
    public async Task The_app_is_ready_and_tells_its_version()
    {
        Assert.Equal("""{"status":"ready"}""", await Http.GetStringAsync(new Uri("/api/ready", UriKind.Relative)));
        Assert.Matches(@"^\d+\.\d+", (await Http.GetFromJsonAsync<JsonElement>("/api/version")).GetProperty("version").GetString());
    }

    [Fact]
    public async Task The_description_has_every_function_with_its_address_and_method_and_no_other()
    {
        using var document = JsonDocument.Parse(await Http.GetStringAsync(new Uri("/api/openapi.json", UriKind.Relative)));
        var described = document.RootElement.GetProperty("paths").EnumerateObject()
            .SelectMany(path => path.Value.EnumerateObject().Select(method => $"{method.Value.GetProperty("operationId")} {method.Name} {path.Name}"));
        var there = File.ReadLines(Path.Combine(Repository.Root, "tests", "Functions.Tests", "LocalHost", "functions.txt"))
            .Select(line => (Name: line.Split(' ')[0], Binding: JsonDocument.Parse(line[(line.IndexOf(' ', StringComparison.Ordinal) + 1)..]).RootElement))
            .Where(function => function.Binding.GetProperty("type").GetString() == "httpTrigger" && function.Name != FunctionNames.NoSuchAddress)
            .SelectMany(function => function.Binding.GetProperty("methods").EnumerateArray()
                .Select(method => $"{function.Name} {method} /api/{function.Binding.GetProperty("route").GetString()!.Replace("{*", "{", StringComparison.Ordinal)}"));
        Assert.Equal(there.Order(), described.Order());
        string text = document.RootElement.GetRawText();
        foreach (string place in System.Text.RegularExpressions.Regex.Matches(text, "\"\\$ref\": *\"#/([^\"]*)\"").Select(match => match.Groups[1].Value).Distinct())
        {
            var at = document.RootElement;
            foreach (string part in place.Split('/')) at = at.ValueKind == JsonValueKind.Array ? at[int.Parse(part, null)] : at.GetProperty(part);
        }
    }

    /// <summary>What is found ready or not is told so for some seconds.</summary>
    private async Task<string> ReadinessAsync(HttpStatusCode wanted)
    {
        for (var deadline = DateTime.UtcNow.AddMinutes(1); ; await Task.Delay(500))
        {
            using var answer = await Http.GetAsync(new Uri("/api/ready", UriKind.Relative));
            string body = await answer.Content.ReadAsStringAsync();
            if (answer.StatusCode == wanted) return body;
            Assert.True(DateTime.UtcNow < deadline, $"{answer.StatusCode}: {body}");
        }
    }

    private async Task<JsonElement> DoAsync(string address)
    {
        using var answer = await Http.PostAsJsonAsync(address, new { });
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        return await answer.Content.ReadFromJsonAsync<JsonElement>();
    }

    private OpenAIClientOptions Options()
    {
        return new OpenAIClientOptions { Endpoint = new Uri(Http.BaseAddress!, "/api/v1"), RetryPolicy = new ClientRetryPolicy(0) };
    }

    private async Task<GenerateAnswer> GenerateAsync(object request)
    {
        using var answer = await Http.PostAsJsonAsync("/api/generate", request);
        string body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, body);
        return JsonSerializer.Deserialize<GenerateAnswer>(body, ContractsJson.Options)!;
    }

    private async Task<HttpResponseMessage> PutAsync(string name, byte[] content, string type)
    {
        using var body = new ByteArrayContent(content);
        body.Headers.ContentType = new(type);
        return await Http.PutAsync(new Uri($"/api/dialogues/{name}", UriKind.Relative), body);
    }

    private async Task RefusedAsync(string address, object request, HttpStatusCode status, string names)
    {
        using var answer = await Http.PostAsJsonAsync(address, request);
        string body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == status, $"{answer.StatusCode}: {body}");
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        Assert.Contains(names, body, StringComparison.Ordinal);
    }
}
