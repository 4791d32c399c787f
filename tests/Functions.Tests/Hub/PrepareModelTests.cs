using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using RlhfFunctions.Activities;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Hosting;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Sources;
using RlhfFunctions.Storage;
using static TorchSharp.torch;

namespace RlhfFunctions.Functions.Tests.Hub;

/// <summary>Models from the hub and from folders, through the activity into Blob storage, and what a worker then loads.</summary>
public sealed class PrepareModelTests(AzuriteFixture azurite) : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("rlhf-hub-").FullName;
    private readonly string _name = $"tiny/m{Guid.NewGuid():n}";
    private readonly Dictionary<string, byte[]> _files = TinyModel.Files();
    private HubServer _server = null!;

    private string Expected => $"models/{_name.Replace("/", "--", StringComparison.Ordinal)}-{HubServer.Commit[..12]}";

    public async ValueTask InitializeAsync()
    {
        _server = await HubServer.StartAsync();
        _server.Add(_name, new Dictionary<string, byte[]>(_files)
        {
            ["README.md"] = [1],
            ["pytorch_model.bin"] = [2],
            ["onnx/config.json"] = [3],
            ["adapter_model.safetensors"] = [4],
        });
    }

    [Fact]
    public async Task A_repository_becomes_a_model_of_the_files_that_are_read_and_is_fetched_once()
    {
        await using var host = Host("a");
        Assert.Equal(Expected, await PrepareAsync(host, $"hf:{_name}"));
        Assert.Equal(_files.Keys.Order(), _server.FilesAskedFor.Distinct().Order());
        Assert.Equal(_files, await ReadAsync(host, Expected));

        _server.Forget();
        Assert.Equal(Expected, await PrepareAsync(host, $"hf:{_name}"));
        Assert.Single(_server.Requests); // which commit it is

        _server.Forget();
        Assert.Equal(Expected, await PrepareAsync(host, $"hf:{_name}@{HubServer.Commit}"));
        Assert.Empty(_server.Requests);
    }

    [Theory]
    [InlineData("hf")]
    [InlineData("file")]
    public async Task In_four_bits_it_is_quantised_once_and_a_cold_worker_loads_the_same_model_from_that_alone(string kind)
    {
        string original = TinyModel.Write(Path.Combine(_folder, $"original{Guid.NewGuid():n}"), _files);
        string source = kind == "hf" ? $"hf:{_name}" : $"file:{original}";
        await using var host = Host("a");
        string path = await PrepareAsync(host, source, ModelPrecision.Nf4);
        Assert.EndsWith("-nf4", path, StringComparison.Ordinal);
        Assert.Equal(path, await PrepareAsync(host, source, ModelPrecision.Nf4));
        Assert.Equal(path, await PrepareAsync(host, $"blob:{path}", ModelPrecision.Nf4)); // 4 bits already
        Assert.Equal(path, await PrepareAsync(host, $"blob:{path[..^"-nf4".Length]}", ModelPrecision.Nf4));

        await using var cold = Host("b");
        string folder = await cold.GetRequiredService<ModelFolders>().FetchAsync(path, CancellationToken.None);
        Assert.Single(Directory.GetDirectories(Path.Combine(_folder, "b")));
        Assert.Equal(_files["tokenizer.model"], await File.ReadAllBytesAsync(Path.Combine(folder, "tokenizer.model")));
        Assert.True(new FileInfo(Path.Combine(folder, "model.safetensors")).Length < _files["model.safetensors"].Length / 2);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var stored = LlamaForCausalLm.Load(folder, ModelPrecision.Nf4);
        using var loaded = LlamaForCausalLm.Load(original, ModelPrecision.Nf4);
        var ids = tensor(new long[,] { { 1, 5, 9, 30, 2 } });
        Assert.Equal(loaded.Logits(loaded.Hidden(ids)).data<float>().ToArray(), stored.Logits(stored.Hidden(ids)).data<float>().ToArray());
        Assert.Equal([2], stored.Config.EndOfTextIds);
    }

    [Fact]
    public async Task A_repository_that_is_in_four_bits_already_is_taken_as_it_is()
    {
        var config = JsonNode.Parse(_files["config.json"])!.AsObject();
        config["quantization_config"] = new JsonObject { ["quant_method"] = "bitsandbytes", ["load_in_4bit"] = true, ["bnb_4bit_quant_type"] = "nf4" };
        _server.Add(_name, new Dictionary<string, byte[]>(_files) { ["config.json"] = Encoding.UTF8.GetBytes(config.ToJsonString()) });
        await using var host = Host("a");
        Assert.Equal(Expected, await PrepareAsync(host, $"hf:{_name}", ModelPrecision.Nf4));
    }

    [Fact]
    public async Task An_import_that_fails_shows_nothing_and_goes_on_with_the_file_it_was_at()
    {
        await using var host = Host("a");
        _server.Script("model.safetensors", HubServer.Instead(content => [.. content[..^1], (byte)(content[^1] ^ 1)]));
        await Assert.ThrowsAsync<HubFaultException>(() => PrepareAsync(host, $"hf:{_name}"));
        Assert.Null(await host.GetRequiredService<ArtifactStore>().FindAsync<object>(Expected, CancellationToken.None));

        _server.Forget();
        Assert.Equal(Expected, await PrepareAsync(host, $"hf:{_name}"));
        Assert.Equal(["model.safetensors", "tokenizer.model"], _server.FilesAskedFor.Distinct().Order());
        Assert.Equal(_files, await ReadAsync(host, Expected));
    }

    [Fact]
    public async Task Many_workers_that_import_at_once_end_with_one_model()
    {
        await using var host = Host("a");
        await using var other = Host("b");
        string[] paths = await Task.WhenAll(new[] { host, other, host }.Select(one => PrepareAsync(one, $"hf:{_name}")));
        Assert.All(paths, path => Assert.Equal(Expected, path));
        Assert.Equal(_files, await ReadAsync(host, Expected));
    }

    [Fact]
    public async Task Sharded_weights_come_whole_and_are_quantised()
    {
        var shards = new Dictionary<string, byte[]>(_files)
        {
            ["model-00001-of-00001.safetensors"] = _files["model.safetensors"],
            ["model.safetensors.index.json"] = Encoding.UTF8.GetBytes(Index(_files["model.safetensors"])),
        };
        shards.Remove("model.safetensors");
        _server.Add(_name, shards);
        await using var host = Host("a");
        string path = await PrepareAsync(host, $"hf:{_name}", ModelPrecision.Nf4);
        Assert.Equal(shards, await ReadAsync(host, Expected));
        Assert.Equal(_files.Keys.Order(), (await ReadAsync(host, path)).Keys.Order());
    }

    [Fact]
    public async Task Pickles_are_refused_with_the_reason_and_the_remedy()
    {
        _server.Add(_name, new Dictionary<string, byte[]> { ["config.json"] = [1], ["pytorch_model.bin"] = [2] });
        await using var host = Host("a");
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => PrepareAsync(host, $"hf:{_name}"));
        Assert.Contains("runs code", error.Message, StringComparison.Ordinal);
        Assert.Contains("safetensors", error.Message, StringComparison.Ordinal);
        Assert.Equal(error.Message, await host.GetRequiredService<SourceFiles>().CheckModelAsync($"hf:{_name}", CancellationToken.None));
        Assert.Empty(_server.FilesAskedFor);
    }

    [Fact]
    public async Task What_cannot_be_quantised_is_said()
    {
        var files = new Dictionary<string, byte[]>(_files) { ["config.json"] = """{"model_type":"roberta"}"""u8.ToArray() };
        await using var host = Host("a");
        string folder = TinyModel.Write(Path.Combine(_folder, "roberta"), files);
        var error = await Assert.ThrowsAsync<InvalidInputException>(() => PrepareAsync(host, $"file:{folder}", ModelPrecision.Nf4));
        Assert.Contains("roberta", error.Message, StringComparison.Ordinal);
        Assert.Contains("4 bits", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(Directory.GetDirectories(Path.Combine(_folder, "a")), left => left.Contains("quantizing", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_file_of_a_data_set_is_read_like_any_other()
    {
        _server.Add("datasets/tiny/talks", new Dictionary<string, byte[]> { ["data/train set.csv"] = "id,dialogue"u8.ToArray(), ["test.csv"] = [] });
        await using var host = Host("a");
        var sources = host.GetRequiredService<SourceFiles>();
        await using var stream = await sources.OpenAsync("hf:datasets/tiny/talks@v1/data/train set.csv", CancellationToken.None);
        using var reader = new StreamReader(stream);
        Assert.Equal("id,dialogue", reader.ReadToEnd());
        Assert.Contains(_server.Requests, request => request.Path == "/api/datasets/tiny/talks/revision/v1");

        Assert.Null(await sources.CheckFileAsync("hf:datasets/tiny/talks/test.csv", CancellationToken.None));
        string? problem = await sources.CheckFileAsync("hf:datasets/tiny/talks/dev.csv", CancellationToken.None);
        Assert.Contains("dev.csv", problem, StringComparison.Ordinal);
        Assert.Contains("test.csv", problem, StringComparison.Ordinal);
        Assert.Contains("is a model", await sources.CheckFileAsync($"hf:{_name}", CancellationToken.None), StringComparison.Ordinal);
        Assert.Contains("data set", await sources.CheckModelAsync("hf:datasets/tiny/talks/test.csv", CancellationToken.None), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_request_is_refused_for_what_the_hub_lacks_but_not_for_a_hub_that_is_down()
    {
        await using var host = Host("a");
        var sources = host.GetRequiredService<SourceFiles>();
        Assert.Contains("hf:no/body", await sources.CheckModelAsync("hf:no/body", CancellationToken.None), StringComparison.Ordinal);
        _server.Script("/main", HubServer.Status(503));
        Assert.Null(await sources.CheckModelAsync("hf:no/body", CancellationToken.None));
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private static Task<string> PrepareAsync(ServiceProvider host, string source, ModelPrecision precision = ModelPrecision.Float32)
    {
        return ActivatorUtilities.CreateInstance<PrepareModel>(host).Run(new PrepareModelInput(source, precision), CancellationToken.None);
    }

    private static async Task<IReadOnlyDictionary<string, byte[]>> ReadAsync(ServiceProvider host, string path)
    {
        return await host.GetRequiredService<ArtifactStore>().ReadFilesAsync(path, CancellationToken.None);
    }

    private static string Index(byte[] weights)
    {
        using var file = Ml.Artifacts.SafetensorsFile.Read(weights);
        var map = new JsonObject(file.Entries.Keys.Select(name => KeyValuePair.Create(name, (JsonNode?)"model-00001-of-00001.safetensors")));
        return new JsonObject { ["weight_map"] = map }.ToJsonString();
    }

    /// <summary>A host's services, with a disk of its own.</summary>
    private ServiceProvider Host(string disk)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["AzureWebJobsStorage"] = azurite.ConnectionString,
            ["RlhfFileRoot"] = Repository.Root,
            ["RlhfFileRoots"] = _folder,
            ["RlhfCache"] = Path.Combine(_folder, disk),
            ["HF_ENDPOINT"] = _server.Address.ToString(),
        }).Build();
        return new ServiceCollection().AddRlhf(configuration).BuildServiceProvider();
    }
}
