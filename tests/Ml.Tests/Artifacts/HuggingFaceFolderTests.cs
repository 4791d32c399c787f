using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Quantization;
using RlhfFunctions.Ml.Tests.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Artifacts;

public sealed class HuggingFaceFolderTests
{
    private const string Config = """
        {"model_type":"llama","vocab_size":31,"hidden_size":24,"intermediate_size":40,"num_hidden_layers":2,"num_attention_heads":6,
         "num_key_value_heads":2,"max_position_embeddings":64}
        """;

    [Fact]
    public void A_model_written_under_its_own_names_loads_as_the_same_model()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TemporaryFolder();
        using var model = TinyLlama.Build();
        Write(folder, model.state_dict());
        using var loaded = LlamaForCausalLm.Load(folder.Root);
        var ids = tensor(new long[,] { { 1, 5, 9 } });
        // The file's configuration asks for transformers' default epsilon, as TinyLlama does.
        AssertTensor.Identical(model.Logits(model.Hidden(ids)), loaded.Logits(loaded.Hidden(ids)));
        Assert.All(loaded.parameters(), p => Assert.False(p.requires_grad));
    }

    [Fact]
    public void Missing_extra_and_misshapen_weights_are_named_all_at_once()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = TinyLlama.Build();
        var weights = model.state_dict();
        weights.Remove("model.norm.weight");
        weights["model.layers.0.mlp.up_proj.weight"] = zeros(40, 23);
        weights["model.layers.2.mlp.up_proj.weight"] = zeros(40, 24);
        Write(folder, weights);
        var message = Assert.Throws<InvalidDataException>(() => LlamaForCausalLm.Load(folder.Root)).Message;
        Assert.Contains("'model.norm.weight' [24] is missing", message, StringComparison.Ordinal);
        Assert.Contains("'model.layers.0.mlp.up_proj.weight' in model.safetensors is [40, 23], expected [40, 24]", message, StringComparison.Ordinal);
        Assert.Contains("'model.layers.2.mlp.up_proj.weight' in model.safetensors is no weight", message, StringComparison.Ordinal);
        Assert.Contains("same model", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ScalarType.Float32, false)]
    [InlineData(ScalarType.Float16, true)]
    [InlineData(ScalarType.BFloat16, false)]
    public void Weights_of_every_type_load_in_every_precision_from_one_file_or_from_shards(ScalarType onDisk, bool ties)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = new LlamaForCausalLm(TinyLlama.Config with { TieWordEmbeddings = ties });
        var weights = model.state_dict().ToDictionary(w => w.Key, w => w.Value.to(onDisk));
        WriteShards(folder, weights);
        folder.Write("config.json", Config.Replace("{", $$"""{"tie_word_embeddings":{{(ties ? "true" : "false")}},""", StringComparison.Ordinal));
        foreach (var precision in Enum.GetValues<ModelPrecision>())
        {
            using var loaded = LlamaForCausalLm.Load(folder.Root, precision);
            var held = loaded.state_dict();
            var type = precision switch
            {
                ModelPrecision.BFloat16 or ModelPrecision.Nf4 => ScalarType.BFloat16,
                ModelPrecision.Float16 => ScalarType.Float16,
                _ => ScalarType.Float32,
            };
            Assert.Equal(!ties, held.ContainsKey("lm_head.weight"));
            foreach (var (name, weight) in weights)
                if (held.TryGetValue(name, out var actual))
                    AssertTensor.Identical(weight.to(type), actual, $"{name} in {precision}");
                else
                    Assert.True(precision == ModelPrecision.Nf4 && name.Contains("proj", StringComparison.Ordinal), name);
            foreach (var (name, layer) in loaded.Projections().Where(_ => precision == ModelPrecision.Nf4))
            {
                using var packed = Nf4Weight.Quantize(weights[$"{name}.weight"].to(ScalarType.Float16));
                var unit = eye(layer.InFeatures); // its product is the weight itself, transposed
                AssertTensor.Close(packed.Dequantize(ScalarType.Float32).t(), layer.forward(unit), 1e-6, name);
            }
        }
    }

    [Fact]
    public void Weights_that_shards_hold_beside_those_of_the_index_are_named_with_their_file()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = TinyLlama.Build();
        folder.Write("config.json", Config);
        WriteShards(folder, model.state_dict(), unlisted: "model.layers.7.mlp.up_proj.weight");
        var message = Assert.Throws<InvalidDataException>(() => LlamaForCausalLm.Load(folder.Root)).Message;
        Assert.Contains("'model.layers.7.mlp.up_proj.weight' in model-00002-of-00002.safetensors is no weight", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_shard_cut_off_is_named_with_the_tensor_that_ends_outside()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = TinyLlama.Build();
        folder.Write("config.json", Config);
        WriteShards(folder, model.state_dict());
        using (var shard = File.OpenWrite(folder.Path("model-00002-of-00002.safetensors")))
            shard.SetLength(shard.Length - 4);
        var message = Assert.Throws<InvalidDataException>(() => LlamaForCausalLm.Load(folder.Root)).Message;
        Assert.Contains("model-00002-of-00002.safetensors: tensor 'model.", message, StringComparison.Ordinal);
        Assert.Contains("cut off. Fetch it again", message, StringComparison.Ordinal);
        File.Delete(folder.Path("model-00002-of-00002.safetensors"));
        Assert.Contains("Fetch that shard", Assert.Throws<InvalidDataException>(() => LlamaForCausalLm.Load(folder.Root)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"weight_map":{"x":7}}""")]
    [InlineData("""{"weight_map":{"x":null}}""")]
    [InlineData("""{"weight_map":{"x":""}}""")]
    [InlineData("""{"weight_map":["x"]}""")]
    [InlineData("""{}""")]
    public void A_damaged_index_is_refused_by_name(string index)
    {
        using var folder = new TemporaryFolder();
        folder.Write("model.safetensors.index.json", index);
        var message = Assert.Throws<InvalidDataException>(() => HuggingFaceFolder.Open(folder.Root)).Message;
        Assert.Contains("model.safetensors.index.json", message, StringComparison.Ordinal);
        Assert.Contains("Fetch", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_four_bit_checkpoint_that_lacks_a_part_is_refused_by_its_name()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = TinyLlama.Build();
        var weights = model.state_dict();
        var state = """{"quant_type":"nf4","blocksize":64,"dtype":"float16","shape":[24,24]}""";
        const string name = "model.layers.0.self_attn.q_proj.weight";
        weights[name] = zeros(288, 1, ScalarType.Byte);
        weights[$"{name}.quant_state.bitsandbytes__nf4"] = tensor(System.Text.Encoding.UTF8.GetBytes(state));
        weights[$"{name}.quant_map"] = tensor(Nf4.Levels);
        Write(folder, weights);
        var message = Assert.Throws<InvalidDataException>(() => LlamaForCausalLm.Load(folder.Root)).Message;
        Assert.Contains($"'{name}.absmax'", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_with_only_a_pickle_is_refused_with_the_reason()
    {
        using var folder = new TemporaryFolder();
        folder.Write("pytorch_model.bin", "PK");
        var error = Assert.Throws<InvalidDataException>(() => HuggingFaceFolder.Open(folder.Root));
        Assert.Contains("runs code", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_index_may_not_lead_out_of_its_folder()
    {
        using var folder = new TemporaryFolder();
        folder.Write("model.safetensors.index.json", """{"weight_map":{"x":"../../elsewhere.safetensors"}}""");
        var error = Assert.Throws<InvalidDataException>(() => HuggingFaceFolder.Open(folder.Root));
        Assert.Contains("not in the folder", error.Message, StringComparison.Ordinal);
    }

    /// <summary>Two shards and their index; a tensor the index does not list goes into the second.</summary>
    private static void WriteShards(TemporaryFolder folder, IReadOnlyDictionary<string, Tensor> weights, string? unlisted = null)
    {
        var map = new Dictionary<string, string>();
        foreach (var (shard, half) in weights.OrderBy(w => w.Key, StringComparer.Ordinal).Chunk((weights.Count / 2) + 1).Index())
        {
            var file = $"model-0000{shard + 1}-of-00002.safetensors";
            foreach (var (name, _) in half)
                map[name] = file;
            var held = half.ToDictionary();
            if (unlisted is not null && shard == 1)
                held[unlisted] = zeros(1);
            File.WriteAllBytes(folder.Path(file), SafetensorsFile.Write(held));
        }
        folder.Write("model.safetensors.index.json", JsonSerializer.Serialize(new { weight_map = map }));
    }

    private static void Write(TemporaryFolder folder, IReadOnlyDictionary<string, Tensor> weights)
    {
        folder.Write("config.json", Config);
        File.WriteAllBytes(Path.Combine(folder.Root, "model.safetensors"), SafetensorsFile.Write(weights));
    }
}
