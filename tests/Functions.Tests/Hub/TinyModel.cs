using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Functions.Tests.Hub;

/// <summary>A Llama of a few thousand random weights, as the files of a repository.</summary>
internal static class TinyModel
{
    private const string Config = """
        {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 31, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "torch_dtype": "bfloat16"}
        """;

    public static Dictionary<string, byte[]> Files()
    {
        using var scope = NewDisposeScope();
        var shape = LlamaConfig.Read(ConfigFile.Parse(System.Text.Encoding.UTF8.GetBytes(Config), "config.json"));
        using var model = new LlamaForCausalLm(shape with { InitializerRange = 0.3 }, seed: 3);
        var weights = model.state_dict().ToDictionary(weight => weight.Key, weight => weight.Value.to(ScalarType.BFloat16));
        return new Dictionary<string, byte[]>
        {
            ["config.json"] = System.Text.Encoding.UTF8.GetBytes(Config),
            ["generation_config.json"] = """{"eos_token_id": 2}"""u8.ToArray(),
            ["model.safetensors"] = SafetensorsFile.Write(weights, SafetensorsFile.PyTorchMetadata),
            ["tokenizer.model"] = File.ReadAllBytes(Path.Combine(Repository.Root, "samples", "models", "llama", "tokenizer.model")),
        };
    }

    /// <summary>The files as a folder.</summary>
    public static string Write(string folder, IReadOnlyDictionary<string, byte[]> files)
    {
        Directory.CreateDirectory(folder);
        foreach (var (name, content) in files) File.WriteAllBytes(Path.Combine(folder, name), content);
        return folder;
    }
}
