using System.Text.Json;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Tests.Large;
using RlhfFunctions.Ml.Tests.Models;
using static TorchSharp.torch;

[assembly: AssemblyFixture(typeof(LargeCheckpoint))]

namespace RlhfFunctions.Ml.Tests.Large;

/// <summary>
/// A folder with a checkpoint of TinyLlama-1.1B's shape and random weights: 2.2 GB of float16 in shards, written when the first test
/// asks for it and gone after the last. A shard is a layer, so that writing needs 100 MB of memory.
/// </summary>
public sealed class LargeCheckpoint : IDisposable
{
    /// <summary>The collection of the tests that count this process's memory: nothing else may run beside them.</summary>
    public const string Alone = "tests of models of 1.1 B parameters";

    private const long BytesNeeded = 4_000_000_000;

    private readonly Lazy<TemporaryFolder> _folder = new(Write);

    /// <summary>The folder; skips the calling test where the disk is too full for it.</summary>
    public string Folder
    {
        get
        {
            var free = new DriveInfo(System.IO.Path.GetTempPath()).AvailableFreeSpace;
            Assert.SkipUnless(
                _folder.IsValueCreated || free > BytesNeeded, $"{free} bytes are free in the temporary folder, {BytesNeeded} are needed.");
            return _folder.Value.Root;
        }
    }

    public void Dispose()
    {
        if (_folder.IsValueCreated)
            _folder.Value.Dispose();
    }

    private static TemporaryFolder Write()
    {
        var folder = new TemporaryFolder();
        folder.Write("config.json", """
            {"model_type":"llama","vocab_size":32003,"hidden_size":2048,"intermediate_size":5632,"num_hidden_layers":22,
             "num_attention_heads":32,"num_key_value_heads":4,"max_position_embeddings":2048,"rms_norm_eps":1e-05,
             "bos_token_id":1,"eos_token_id":2,"torch_dtype":"float16"}
            """);
        var map = new Dictionary<string, string>();
        var weights = WeightInventory.Of(WeightInventoryTests.TinyLlama11B).Weights;
        var shards = weights.GroupBy(w => string.Join('.', w.Name.Split('.').Take(3))); // model.layers.7
        foreach (var (number, shard) in shards.Index())
        {
            using var scope = NewDisposeScope();
            using var generator = new Generator(Seeds.Derive(1, shard.Key), CPU);
            var file = $"model-{number + 1:D5}.safetensors";
            using var stream = File.Create(folder.Path(file));
            SafetensorsFile.Write(stream, shard.ToDictionary(w => w.Name, w => Random(w, generator)));
            foreach (var weight in shard)
                map[weight.Name] = file;
        }
        folder.Write("model.safetensors.index.json", JsonSerializer.Serialize(new { weight_map = map }));
        return folder;
    }

    private static Tensor Random(WeightShape weight, Generator generator)
    {
        using var scope = NewDisposeScope();
        var values = weight.Shape.Count == 1 ? ones([.. weight.Shape]) : randn([.. weight.Shape], generator: generator).mul_(0.02);
        return scope.MoveToOuter(values.to(ScalarType.Float16));
    }
}

[CollectionDefinition(LargeCheckpoint.Alone, DisableParallelization = true)]
public sealed class LargeTests;
