using RlhfFunctions.Activities;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.EndToEnd;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Activities;

/// <summary>Uploaded dialogues: what is wrong is named, the rest is summarised, and the version that is there decides.</summary>
[Collection(BlobPaths.LatestAdapter)]
public sealed class WriteSummariesTests(AzuriteFixture azurite) : IAsyncLifetime
{
    private const string Hello = "\"#Person1#: Hello, Tom.\n#Person2#: Hello, Anna.\"";

    private readonly ActivityHost _host = new(azurite);
    private readonly string _stem = $"s{Guid.NewGuid():n}";

    public async ValueTask InitializeAsync()
    {
        var request = TinyRun.Request(_stem);
        request = request with { Evaluation = request.Evaluation with { BatchSize = 1 } };
        var latest = new LatestAdapter(_stem, await _host.PrepareAsync(request), Step: 0, DateTimeOffset.UnixEpoch);
        await _host.Get<BlobFiles>().ReplaceAsync(BlobPaths.LatestAdapter, BinaryData.FromObjectAsJson(latest, ContractsJson.Options), CancellationToken.None);
    }

    public ValueTask DisposeAsync()
    {
        _host.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Broken_and_overlong_rows_are_named_and_the_good_ones_summarised()
    {
        string overlong = string.Join(' ', Enumerable.Repeat("word", 5000));
        string csv = $"id,dialogue\na,{Hello}\nb,he said \"no\"\nc,\nd,x,y\ne,{overlong}\nf,{Hello}\ng,\"open";
        Assert.Equal(BlobPaths.Summary(Name("csv")), await SummarizeAsync("csv", csv));
        var answer = await ReadAsync<DialogueSummaries>(BlobPaths.Summary(Name("csv")));
        Assert.Equal(["a", "f"], answer!.Summaries.Select(summary => summary.Id));
        Assert.NotEqual(answer.Summaries[0].Summary, answer.Summaries[1].Summary); // seeds go on from batch to batch
        var errors = await ReadAsync<DialogueErrors>(BlobPaths.SummaryErrors(Name("csv")));
        Assert.Equal([2, 3, 4, 5, 7], errors!.Errors.Select(error => error.Row));
        Assert.Equal(2, errors.Summarized);
        string[] says = ["row 2 (line 4) is malformed", "row 3 (line 5) has no dialogue", "more or fewer fields", "e makes a prompt of", "never closed"];
        Assert.All(says.Zip(errors.Errors), pair => Assert.Contains(pair.First, pair.Second.Problem, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_corrected_file_removes_the_errors_and_a_rows_summary_stays_what_it_was()
    {
        await SummarizeAsync("jsonl", "{\"dialogue\": 3}\n{\"dialogue\": \"#Person1#: Hello.\"}\n");
        string before = Assert.Single((await ReadAsync<DialogueSummaries>(BlobPaths.Summary(Name("jsonl"))))!.Summaries).Summary;
        Assert.NotNull(await ReadAsync<DialogueErrors>(BlobPaths.SummaryErrors(Name("jsonl"))));
        await SummarizeAsync("jsonl", "{\"dialogue\": \"#Person1#: Bye.\"}\n{\"dialogue\": \"#Person1#: Hello.\"}\n");
        var after = await ReadAsync<DialogueSummaries>(BlobPaths.Summary(Name("jsonl")));
        Assert.Equal(before, after!.Summaries[1].Summary);
        Assert.Null(await ReadAsync<DialogueErrors>(BlobPaths.SummaryErrors(Name("jsonl"))));
    }

    [Theory]
    [InlineData("txt", "Hello.", "cannot tell the format from \".txt\"")]
    [InlineData("json", "[]", "cannot tell the format from \".json\"")]
    [InlineData("csv", "id,text\na,b\n", "no column \"dialogue\"")]
    [InlineData("csv", "", "no column \"dialogue\"")]
    [InlineData("csv", "id,\"dialogue\na,b\n", "the header (line 1) is malformed")]
    [InlineData("jsonl", "", "holds no rows")]
    public async Task A_file_that_cannot_be_read_gets_an_error_file_alone(string extension, string content, string says)
    {
        Assert.Equal(BlobPaths.SummaryErrors(Name(extension)), await SummarizeAsync(extension, content));
        var error = Assert.Single((await ReadAsync<DialogueErrors>(BlobPaths.SummaryErrors(Name(extension))))!.Errors);
        Assert.Null(error.Row);
        Assert.Contains(says, error.Problem, StringComparison.Ordinal);
        Assert.Null(await ReadAsync<DialogueSummaries>(BlobPaths.Summary(Name(extension))));
    }

    [Fact]
    public async Task An_older_version_writes_nothing_however_late_it_is()
    {
        string old = await UploadAsync("csv", $"id,dialogue\nold,{Hello}\n");
        await SummarizeAsync("csv", $"id,dialogue\nnew,{Hello}\n");
        Assert.Null(await RunAsync("csv", old));
        Assert.Equal("new", Assert.Single((await ReadAsync<DialogueSummaries>(BlobPaths.Summary(Name("csv"))))!.Summaries).Id);

        string deleted = await UploadAsync("csv", $"id,dialogue\ngone,{Hello}\n");
        await _host.Get<BlobFiles>().DeleteAsync($"{BlobPaths.Dialogues}/{Name("csv")}", CancellationToken.None);
        Assert.Null(await RunAsync("csv", deleted));
        Assert.Equal("new", Assert.Single((await ReadAsync<DialogueSummaries>(BlobPaths.Summary(Name("csv"))))!.Summaries).Id);
    }

    [Fact]
    public async Task While_no_adapter_serves_the_error_file_says_so()
    {
        await _host.Get<BlobFiles>().DeleteAsync(BlobPaths.LatestAdapter, CancellationToken.None);
        await SummarizeAsync("csv", $"id,dialogue\na,{Hello}\n");
        Assert.Contains("No adapter serves", (await ReadAsync<DialogueErrors>(BlobPaths.SummaryErrors(Name("csv"))))!.Errors.Single().Problem, StringComparison.Ordinal);
    }

    private string Name(string extension)
    {
        return $"{_stem}.{extension}";
    }

    private async Task<string?> SummarizeAsync(string extension, string content)
    {
        return await RunAsync(extension, await UploadAsync(extension, content));
    }

    private Task<string?> RunAsync(string extension, string etag)
    {
        return _host.New<WriteSummaries>().Run(new SummarizeDialoguesInput(Name(extension), etag), CancellationToken.None);
    }

    private async Task<string> UploadAsync(string extension, string content)
    {
        var blob = await _host.Get<BlobFiles>().BlobAsync($"{BlobPaths.Dialogues}/{Name(extension)}");
        return (await blob.UploadAsync(BinaryData.FromString(content), overwrite: true)).Value.ETag.ToString();
    }

    private Task<T?> ReadAsync<T>(string path)
        where T : class
    {
        return _host.Get<BlobFiles>().ReadJsonAsync<T>(path, CancellationToken.None);
    }
}
