using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>The HTTP API before any run: what it can do already, and what it refuses.</summary>
[Collection(nameof(FreshAppTests))]
public sealed class FreshAppTests(RunningApp running)
{
    public static TheoryData<string, string> Refused => new()
    {
        { """{"prompts":["a"],"dialogues":["b"]}""", "either prompts or dialogues" },
        { """{"seed":1}""", "either prompts or dialogues" },
        { """{"prompts":[]}""", "prompts: must hold 1 to 256" },
        { """{"prompts":["a",""]}""", "prompts[1]: must not be empty" },
        { """{"prompts":["a",null]}""", "prompts[1]" },
        { """{"prompts":["a"],"temprature":1}""", "temprature" },
        { """{"prompts":["a"],"temperature":-1}""", "temperature: must be between 0 and 100" },
        { """{"prompts":["a"],"maxNewTokens":0}""", "maxNewTokens: must be between 1" },
        { """{"prompts":["a"],"maxNewTokens":99999}""", "prompts[0] makes a prompt of" },
        { """{"prompts":["a"],"seed":-1}""", "seed: must be between" },
        { """{"prompts":["a"],"runId":"No Such"}""", "runId: must be" },
        { "nonsense", "Line 1" },
        { "null", "null" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task What_cannot_be_written_is_refused_in_words(string body, string says)
    {
        using var answer = await PostAsync(body);
        Assert.Contains(says, await ProblemAsync(answer, HttpStatusCode.BadRequest), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_an_adapter_the_base_model_writes_and_the_answer_says_so()
    {
        using var answer = await PostAsync("""{"dialogues":["#Person1#: Hello, Tom.\n#Person2#: Hello, Anna."],"maxNewTokens":8}""");
        var texts = await answer.Content.ReadFromJsonAsync<GenerateAnswer>(ContractsJson.Options);
        Assert.Equal(WrittenBy.Base, texts!.WrittenBy);
        Assert.Equal("file:samples/models/llama", texts.Model);
        Assert.Null(texts.RunId);
        var text = Assert.Single(texts.Texts);
        Assert.InRange(text.Tokens, 1, 8);
        Assert.NotEqual("", text.Text);
    }

    [Theory]
    [InlineData("/api/runs/nobody/report")]
    [InlineData("/api/runs/nobody/files/report.html")]
    [InlineData("/api/pages/compare?run=nobody")]
    [InlineData("/api/runs/nobody/metrics")]
    [InlineData("/api/runs/NO%20BODY")]
    public async Task What_a_run_has_that_is_not_there_is_not_found(string path)
    {
        using var answer = await running.App.Http.GetAsync(new Uri(path, UriKind.Relative));
        await ProblemAsync(answer, HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task A_run_that_is_not_there_cannot_write()
    {
        using var answer = await PostAsync("""{"prompts":["a"],"runId":"nobody"}""");
        Assert.Contains("nobody", await ProblemAsync(answer, HttpStatusCode.NotFound), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_run_that_has_not_begun_has_a_page_but_no_files_and_cannot_write()
    {
        var request = TinyRun.Request("unfinished");
        var requests = running.App.Blobs.GetBlobContainerClient(BlobPaths.Runs);
        await requests.CreateIfNotExistsAsync();
        await requests.GetBlobClient("unfinished/request.json").UploadAsync(BinaryData.FromObjectAsJson(request, ContractsJson.Options), overwrite: true);

        string page = await running.App.Http.GetStringAsync(new Uri("/api/runs/unfinished/report", UriKind.Relative));
        Assert.Contains("It waits to be taken up.", page, StringComparison.Ordinal);
        Assert.Contains("<main data-refresh=", page, StringComparison.Ordinal);
        using var file = await running.App.Http.GetAsync(new Uri("/api/runs/unfinished/files/report.html", UriKind.Relative));
        Assert.Contains("unfinished", await ProblemAsync(file, HttpStatusCode.Conflict), StringComparison.Ordinal);
        using var text = await PostAsync("""{"prompts":["a"],"runId":"unfinished"}""");
        Assert.Contains("unfinished", await ProblemAsync(text, HttpStatusCode.Conflict), StringComparison.Ordinal);
        Assert.Equal("[]", await running.App.Http.GetStringAsync(new Uri("/api/runs/unfinished/metrics", UriKind.Relative)));
        Assert.Contains("NotStarted", await running.App.Http.GetStringAsync(new Uri("/api/runs", UriKind.Relative)), StringComparison.Ordinal);
        Assert.Equal("""{"adapters":[]}""", await running.App.Http.GetStringAsync(new Uri("/api/adapters", UriKind.Relative)));
    }

    [Fact]
    public async Task Health_is_told_and_nothing_else()
    {
        Assert.Equal("""{"status":"healthy"}""", await running.App.Http.GetStringAsync(new Uri("/api/health", UriKind.Relative)));
    }

    private async Task<HttpResponseMessage> PostAsync(string body)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        return await running.App.Http.PostAsync(new Uri("/api/generate", UriKind.Relative), content);
    }

    private static async Task<string> ProblemAsync(HttpResponseMessage answer, HttpStatusCode status)
    {
        string body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == status, $"{answer.StatusCode}: {body}");
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        using var problem = JsonDocument.Parse(body);
        return problem.RootElement.GetProperty("detail").GetString()!;
    }
}
