using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>A model comes into storage over HTTP: whole, or not at all.</summary>
[Collection(nameof(RunTests))]
public sealed class ModelUploadTests(RunTests.FinishedRun finished)
{
    private static readonly string Folder = Path.Combine(Repository.Root, "samples", "models", "llama");

    private HttpClient Http => finished.App.Http;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_model_is_uploaded_completed_and_named_by_a_run()
    {
        foreach (string file in new[] { "config.json", "tokenizer.model", "tokenizer_config.json" }) await PutAsync($"mine/{file}", await ReadAsync(file), HttpStatusCode.Created);
        await CompleteAsync("mine", HttpStatusCode.Conflict, "model.safetensors");
        await RunIsRefusedAsync("blob:models/mine");

        byte[] weights = await ReadAsync("model.safetensors");
        await PutAsync("mine/model.safetensors", weights[..^1], HttpStatusCode.Created);
        await CompleteAsync("mine", HttpStatusCode.Conflict, "cut off"); // it was sent whole, but is none
        await PutAsync("mine/model.safetensors", weights, HttpStatusCode.Created);
        Assert.Contains("POST /api/models/mine", (await FindAsync("mine"))!.Problem, StringComparison.Ordinal);
        foreach (int _ in new[] { 1, 2 }) Assert.Contains("blob:models/mine", await CompleteAsync("mine", HttpStatusCode.Created), StringComparison.Ordinal);

        var listed = (await FindAsync("mine"))!;
        Assert.Equal(("blob:models/mine", null), (listed.Source, listed.Problem));
        Assert.Equal(["config.json", "model.safetensors", "tokenizer.model", "tokenizer_config.json"], listed.Files.Select(file => file.Name).Order());
        Assert.Equal(weights.Length, listed.Files.Single(file => file.Name == "model.safetensors").Bytes);
        await PutAsync("mine/config.json", "{}"u8.ToArray(), HttpStatusCode.Conflict, "model-exists");

        // It writes what the folder that it came from wrote.
        using var accepted = await finished.App.PostRunAsync(TinyRun.Request("on-mine", steps: 1) with { Model = new ModelSettings { Source = "blob:models/mine" } });
        Assert.Equal(HttpStatusCode.Accepted, accepted.StatusCode);
        var view = await finished.App.WaitAsync("on-mine", view => view.Status == "Completed", TimeSpan.FromMinutes(2));
        Assert.Equal(finished.View.Outcome!.LabelBefore, view.Outcome!.LabelBefore);
    }

    [Fact]
    public async Task An_upload_that_is_cut_off_leaves_nothing_that_could_be_taken_for_a_file()
    {
        await PutAsync("half/config.json", await ReadAsync("config.json"), HttpStatusCode.Created);
        using (var line = new TcpClient())
        {
            await line.ConnectAsync(Http.BaseAddress!.Host, Http.BaseAddress.Port, Stop);
            await using var stream = line.GetStream();
            string head = $"PUT /api/models/half/model.safetensors HTTP/1.1\r\nHost: {Http.BaseAddress.Authority}\r\nContent-Length: 2000000\r\n\r\n";
            await stream.WriteAsync(Encoding.ASCII.GetBytes(head), Stop);
            await stream.WriteAsync((await ReadAsync("model.safetensors")).AsMemory(0, 1_000_000), Stop);
            await Task.Delay(500, Stop);
        }

        await Task.Delay(1000, Stop);
        Assert.Equal(["config.json"], (await FindAsync("half"))!.Files.Select(file => file.Name));
        await CompleteAsync("half", HttpStatusCode.Conflict, "no weights");
    }

    [Fact]
    public async Task Shards_that_the_index_names_are_waited_for()
    {
        await PutAsync("shards/config.json", await ReadAsync("config.json"), HttpStatusCode.Created);
        byte[] index = Encoding.UTF8.GetBytes("""{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}""");
        await PutAsync("shards/model.safetensors.index.json", index, HttpStatusCode.Created);
        await PutAsync("shards/model-00001-of-00002.safetensors", await ReadAsync("model.safetensors"), HttpStatusCode.Created);
        await CompleteAsync("shards", HttpStatusCode.Conflict, "names model-00002-of-00002.safetensors, not uploaded yet");
    }

    [Fact]
    public async Task A_file_may_be_as_large_as_the_limit_says_and_no_larger()
    {
        await PutAsync("large/model.safetensors", new byte[RunTests.FinishedRun.MostModelBytes], HttpStatusCode.Created); // beyond what the server takes by itself
        await PutAsync("large/tokenizer.json", new byte[RunTests.FinishedRun.MostModelBytes + 1], HttpStatusCode.RequestEntityTooLarge, "RlhfLimits__ModelFileBytes");
        Assert.Equal(["model.safetensors"], (await FindAsync("large"))!.Files.Select(file => file.Name));
    }

    [Theory]
    [InlineData("mine2/pytorch_model.bin", "model.safetensors")]
    [InlineData("mine2/..%2fconfig.json", "model.safetensors")]
    [InlineData("Mine/config.json", "lower-case")]
    [InlineData("llama-0123456789ab/config.json", "must not end with")]
    [InlineData("mine-nf4/config.json", "must not end with")]
    public async Task Other_names_are_refused(string path, string says)
    {
        await PutAsync(path, "{}"u8.ToArray(), HttpStatusCode.BadRequest, says);
    }

    private static Task<byte[]> ReadAsync(string file)
    {
        return File.ReadAllBytesAsync(Path.Combine(Folder, file), Stop);
    }

    private async Task PutAsync(string path, byte[] content, HttpStatusCode status, string says = "sha256")
    {
        using var body = new ByteArrayContent(content);
        using var answer = await Http.PutAsync(new Uri($"/api/models/{path}", UriKind.Relative), body, Stop);
        string text = await answer.Content.ReadAsStringAsync(Stop);
        Assert.True(answer.StatusCode == status, $"{path}: {answer.StatusCode} {text}");
        Assert.Contains(says, text, StringComparison.Ordinal);
        if (status == HttpStatusCode.Created)
            Assert.Equal(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(content)), JsonSerializer.Deserialize<ModelListFile>(text, ContractsJson.Options)!.Sha256);
    }

    private async Task<string> CompleteAsync(string name, HttpStatusCode status, string says = "")
    {
        using var answer = await Http.PostAsJsonAsync($"/api/models/{name}", new { }, ContractsJson.Options, Stop);
        string text = await answer.Content.ReadAsStringAsync(Stop);
        Assert.True(answer.StatusCode == status, $"{answer.StatusCode} {text}");
        Assert.Contains(says, text, StringComparison.Ordinal);
        return text;
    }

    private async Task<ModelListItem?> FindAsync(string name)
    {
        return (await Http.GetFromJsonAsync<ModelListItem[]>("/api/models", ContractsJson.Options, Stop))!.SingleOrDefault(model => model.Name == name);
    }

    private async Task RunIsRefusedAsync(string source)
    {
        var request = TinyRun.Request("refused") with { Model = new ModelSettings { Source = source } };
        using var answer = await Http.PostAsJsonAsync("/api/runs?validate=true", request, ContractsJson.Options, Stop);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("model.source", await answer.Content.ReadAsStringAsync(Stop), StringComparison.Ordinal);
    }
}
