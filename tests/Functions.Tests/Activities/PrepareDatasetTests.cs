using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using RlhfFunctions.Activities;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.Campaigns;
using RlhfFunctions.Functions.Tests.EndToEnd;
using RlhfFunctions.Hosting;
using RlhfFunctions.Ml.Text;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Activities;

/// <summary>Data of a user's own: columns by name, a template, a folder.</summary>
public sealed class PrepareDatasetTests(AzuriteFixture azurite) : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("rlhf-data-").FullName;

    [Fact]
    public async Task A_folder_with_columns_of_its_own_becomes_prompts_by_the_template()
    {
        Write("train.jsonl", "{\"article\": \"It rains in Rome.\"}", "{\"article\": \"Snow in Oslo.\", \"name\": \"b\"}");
        Write("test.csv", "name,article,short", "t,\"A dog, and a cat.\",Animals.");
        var dataset = await PrepareAsync(Request());

        Assert.Equal([("train_1", "It rains in Rome.", ""), ("b", "Snow in Oslo.", "")], dataset.Train.Select(row => (row.Id, row.Dialogue, row.Summary)));
        var test = dataset.Test.Single();
        Assert.Equal(("t", "A dog, and a cat.", "Animals."), (test.Id, test.Dialogue, test.Summary));
        var tokenizer = LlamaText.FromFolder(Path.Combine(Repository.Root, "samples", "models", "llama"));
        Assert.Equal(tokenizer.Encode("Shorten: A dog, and a cat. ->"), test.PromptIds);
    }

    [Fact]
    public async Task Held_out_rows_without_a_reference_are_refused_by_name()
    {
        Write("train.jsonl", "{\"article\": \"It rains in Rome.\"}", "{\"article\": \"Snow in Oslo.\"}");
        Write("test.csv", "name,article,short", "t,A dog.,A dog.", "u,A cat., ");
        string message = (await Assert.ThrowsAsync<InvalidInputException>(() => PrepareAsync(Request()))).Message;
        Assert.Contains("row u has no short", message, StringComparison.Ordinal);
        Assert.Contains("data.columns.summary", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_chat_with_a_model_that_has_no_chat_template_is_refused()
    {
        var request = Request();
        string message = (await Assert.ThrowsAsync<InvalidInputException>(() => PrepareAsync(request with { Data = request.Data with { Chat = true } }))).Message;
        Assert.Contains("data.chat", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_without_the_part_is_refused_by_its_path()
    {
        Write("test.csv", "name,article,short", "t,A dog.,A dog.");
        string message = (await Assert.ThrowsAsync<InvalidInputException>(() => PrepareAsync(Request()))).Message;
        Assert.Contains(Path.Combine(_folder, "train.csv"), message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Preferences_become_prompts_and_two_responses_that_end()
    {
        Write("test.csv", "name,article,short", "t,A dog.,A dog.");
        Write("preferences.jsonl",
            "{\"prompt\": \"Say it.\\n\", \"chosen\": \"Please.\", \"rejected\": \"Shut up.\"}",
            "{\"prompt\": \"Again.\\n\", \"chosen\": \"Thanks.\", \"rejected\": \"\"}");
        var request = Request();
        request = request with
        {
            Training = new DpoSettings { BatchSize = 2, MiniBatchSize = 2 },
            Reward = null,
            Data = request.Data with { Train = null, Preferences = $"file:{_folder}/preferences.jsonl" },
        };
        var preferences = (await PrepareAsync(request)).Preferences;

        var tokenizer = LlamaText.FromFolder(Path.Combine(Repository.Root, "samples", "models", "llama"));
        Assert.Equal(["preferences_1", "preferences_2"], preferences.Select(pair => pair.Id));
        Assert.Equal([tokenizer.EosId], preferences[1].Rejected.ResponseIds);
        var chosen = preferences[0].Chosen;
        Assert.Equal([.. tokenizer.Encode("Say it.\nPlease."), tokenizer.EosId], chosen.PromptIds.Concat(chosen.ResponseIds));
        Assert.Equal("Say it.\n", tokenizer.Decode(chosen.PromptIds));

        var tooMany = request with { RunId = request.RunId + "-b", Training = new DpoSettings { BatchSize = 4, MiniBatchSize = 4 } };
        Assert.Contains("dpo.batchSize", (await Assert.ThrowsAsync<InvalidInputException>(() => PrepareAsync(tooMany))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_campaigns_votes_become_preferences_and_later_votes_change_nothing()
    {
        Write("test.csv", "name,article,short", "t,A dog.,A dog.");
        string id = $"votes-{Guid.NewGuid():n}";
        var blobs = new BlobFiles(azurite.Blobs);
        var store = new ArtifactStore(blobs);
        var campaign = await PlantedCampaign.PlantAsync(blobs, id, pairs: 6, "base", "base", same => same with { PromptTemplate = "Say it: {dialogue}\n" });
        await campaign.VoteAsync("ann", [(0, VoteChoice.A), (1, VoteChoice.B), (2, VoteChoice.Tie), (3, VoteChoice.A)], DateTimeOffset.UtcNow.AddMinutes(-1));
        await campaign.VoteAsync("bob", [(3, VoteChoice.B)], DateTimeOffset.UtcNow.AddMinutes(-1)); // against ann's: undecided
        var request = Request();
        request = request with
        {
            Training = new DpoSettings { BatchSize = 2, MiniBatchSize = 2 },
            Reward = null,
            Data = request.Data with { Train = null, Preferences = $"campaign:{id}" },
        };
        var preferences = (await PrepareAsync(request)).Preferences;

        var tokenizer = LlamaText.FromFolder(Path.Combine(Repository.Root, "samples", "models", "llama"));
        Assert.Equal(
            [("Say it: #Person1#: Hello 0.\n", "Tom sounds kind 0.", "Tom sounds rude 0."), ("Say it: #Person1#: Hello 1.\n", "Tom sounds rude 1.", "Tom sounds kind 1.")],
            preferences.Select(pair => (tokenizer.Decode(pair.Chosen.PromptIds), tokenizer.Decode(pair.Chosen.ResponseIds[..^1]), tokenizer.Decode(pair.Rejected.ResponseIds[..^1]))));

        // Lost and made again after more votes, it has the same bytes.
        byte[] before = await store.ReadFileAsync(BlobPaths.Dataset(request.RunId!), PreparedDataset.FileName, CancellationToken.None);
        await campaign.VoteAsync("eve", [(2, VoteChoice.A), (4, VoteChoice.A)], DateTimeOffset.UtcNow.AddMinutes(1));
        await store.DeleteAsync(BlobPaths.Dataset(request.RunId!), CancellationToken.None);
        await PrepareAsync(request);
        Assert.Equal(before, await store.ReadFileAsync(BlobPaths.Dataset(request.RunId!), PreparedDataset.FileName, CancellationToken.None));

        var gone = request with { RunId = request.RunId + "-b", Data = request.Data with { Preferences = "campaign:no-such" } };
        Assert.Contains("no campaign no-such", (await Assert.ThrowsAsync<InvalidInputException>(() => PrepareAsync(gone))).Message, StringComparison.Ordinal);
        var few = request with { RunId = request.RunId + "-c", Training = new DpoSettings { BatchSize = 4, MiniBatchSize = 4 } };
        Assert.Contains($"campaign:{id} has 2 preferences", (await Assert.ThrowsAsync<InvalidInputException>(() => PrepareAsync(few))).Message, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
    }

    private void Write(string name, params string[] lines)
    {
        File.WriteAllLines(Path.Combine(_folder, name), lines);
    }

    [Fact]
    public async Task A_row_that_does_not_fit_the_models_context_is_named()
    {
        Write("train.csv", $"name,article,short\na,Hello there.,x\nlong,{string.Join(' ', Enumerable.Repeat("word", 100))},x");
        Write("test.csv", "name,article,short\nc,Hello there.,x");
        var request = Request();
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => PrepareAsync(request with { Generation = new GenerationSettings { MaxNewTokens = 280 } }));
        Assert.Contains("row long makes a prompt of", error.Message, StringComparison.Ordinal);
        Assert.Contains("context", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_reference_of_endless_length_is_named()
    {
        Write("train.csv", "name,article,short\na,Hello there.,x\nb,Hello you.,x");
        Write("test.csv", $"name,article,short\nendless,Hello there.,{new string('y', 30_000)}");
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => PrepareAsync(Request()));
        Assert.Contains("endless has 30000 characters", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_of_more_rows_than_are_read_is_refused()
    {
        Write("train.csv", "name,article,short\na,Hello there.,x\nb,Hello you.,x");
        Write("test.csv", "name,article,short\nc,Hello there.,x");
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => PrepareAsync(Request(), mostRows: 1));
        Assert.Contains("train.csv", error.Message, StringComparison.Ordinal);
        Assert.Contains("more than the 1 ", error.Message, StringComparison.Ordinal);
    }

    private RunRequest Request()
    {
        var tiny = TinyRun.Request($"data-{Guid.NewGuid():n}");
        return tiny with
        {
            Ppo = tiny.Ppo! with { BatchSize = 2, MiniBatchSize = 2 },
            Data = new DataSettings
            {
                Train = $"file:{_folder}",
                Test = $"file:{_folder}",
                MinCharacters = 0,
                Columns = new DialogueColumns { Id = "name", Dialogue = "article", Summary = "short" },
                PromptTemplate = "Shorten: {dialogue} ->",
            },
        };
    }

    private async Task<PreparedDataset> PrepareAsync(RunRequest request, int mostRows = 1000)
    {
        Assert.Empty(RequestValidation.Check(request));
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["AzureWebJobsStorage"] = azurite.ConnectionString,
            ["RlhfFileRoot"] = Repository.Root,
            ["RlhfFileRoots"] = _folder,
            ["RlhfCache"] = Path.Combine(_folder, "models"),
            [$"RlhfLimits:{nameof(Limits.DataRows)}"] = $"{mostRows}",
        }).Build();
        using var host = new ServiceCollection().AddRlhf(configuration).BuildServiceProvider();
        await host.GetRequiredService<RunRequests>().TryRecordAsync(request, CancellationToken.None);
        string model = await ActivatorUtilities.CreateInstance<PrepareModel>(host).Run(new PrepareModelInput(request.Model.Source), CancellationToken.None);
        string path = await ActivatorUtilities.CreateInstance<PrepareDataset>(host)
            .Run(new PrepareDatasetInput(request.RunId!, model), CancellationToken.None);
        return await host.GetRequiredService<Datasets>().GetAsync(path, CancellationToken.None);
    }
}
