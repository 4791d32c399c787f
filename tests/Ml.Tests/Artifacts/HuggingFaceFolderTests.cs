using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Models;
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
        Assert.Contains("'model.layers.0.mlp.up_proj.weight' is [40, 23], expected [40, 24]", message, StringComparison.Ordinal);
        Assert.Contains("'model.layers.2.mlp.up_proj.weight' is no weight", message, StringComparison.Ordinal);
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

    private static void Write(TemporaryFolder folder, IReadOnlyDictionary<string, Tensor> weights)
    {
        folder.Write("config.json", Config);
        File.WriteAllBytes(Path.Combine(folder.Root, "model.safetensors"), SafetensorsFile.Write(weights));
    }
}
