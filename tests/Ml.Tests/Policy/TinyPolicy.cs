using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Policy;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Policy;

/// <summary>A random Llama of two layers with an adapter and a value head, and what else a test of PPO needs.</summary>
internal static class TinyPolicy
{
    public const int Vocabulary = 24, Hidden = 16, EndOfText = 2;

    private static readonly Lazy<string> Folder = new(WriteModel);

    public static PolicyWithValue Create(bool randomAdapter = true)
    {
        var model = LlamaForCausalLm.Load(Folder.Value);
        var adapter = LoraAdapter.Attach(model, new LoraSettings { Rank = 4, Alpha = 4, TargetModules = ["q_proj", "v_proj", "o_proj", "down_proj"] }, seed: 1);
        var policy = new PolicyWithValue(model, adapter, new ValueHead(Hidden, CPU));
        if (randomAdapter) // B and the value head start at zero; tests want to see them
            using (no_grad())
                foreach (var (name, parameter) in policy.Parameters)
                    parameter.copy_(Random(name, parameter.shape, 0.3));
        return policy;
    }

    /// <summary>Prompts of different lengths.</summary>
    public static int[][] Prompts(int count) => [.. Enumerable.Range(0, count).Select(row =>
    {
        var key = Seeds.Derive(3, "prompt", row);
        var length = 2 + (int)(Seeds.Uniform(key, 0) * 7);
        return Enumerable.Range(1, length).Select(t => t == 1 ? 1 : 3 + (int)(Seeds.Uniform(key, t) * (Vocabulary - 3))).ToArray();
    })];

    public static ulong[] Keys(int count, ulong seed = 11) => [.. Enumerable.Range(0, count).Select(i => Seeds.Derive(seed, "test", i))];

    private static Tensor Random(string name, long[] shape, double scale)
    {
        var key = Seeds.Derive(5, name);
        return tensor(Enumerable.Range(0, (int)shape.Aggregate(1L, (a, b) => a * b))
            .Select(i => (float)(scale * ((2 * Seeds.Uniform(key, i)) - 1))).ToArray()).view(shape);
    }

    private static string WriteModel()
    {
        using var scope = NewDisposeScope();
        const int Intermediate = 32, Layers = 2, Heads = 4, KeyValueHeads = 2, HeadSize = Hidden / Heads;
        var tensors = new Dictionary<string, Tensor>();
        Matrix("model.embed_tokens", Vocabulary, Hidden);
        Matrix("lm_head", Vocabulary, Hidden);
        tensors["model.norm.weight"] = ones(Hidden);
        for (var layer = 0; layer < Layers; layer++)
        {
            var prefix = $"model.layers.{layer}.";
            tensors[$"{prefix}input_layernorm.weight"] = ones(Hidden);
            tensors[$"{prefix}post_attention_layernorm.weight"] = ones(Hidden);
            Matrix($"{prefix}self_attn.q_proj", Hidden, Hidden);
            Matrix($"{prefix}self_attn.k_proj", KeyValueHeads * HeadSize, Hidden);
            Matrix($"{prefix}self_attn.v_proj", KeyValueHeads * HeadSize, Hidden);
            Matrix($"{prefix}self_attn.o_proj", Hidden, Hidden);
            Matrix($"{prefix}mlp.gate_proj", Intermediate, Hidden);
            Matrix($"{prefix}mlp.up_proj", Intermediate, Hidden);
            Matrix($"{prefix}mlp.down_proj", Hidden, Intermediate);
        }
        var folder = Directory.CreateTempSubdirectory("tiny-llama").FullName;
        File.WriteAllBytes(Path.Combine(folder, "model.safetensors"), SafetensorsFile.Write(tensors, SafetensorsFile.PyTorchMetadata));
        File.WriteAllText(Path.Combine(folder, "config.json"), JsonSerializer.Serialize(new Dictionary<string, object>
        {
            ["architectures"] = new[] { "LlamaForCausalLM" },
            ["model_type"] = "llama",
            ["hidden_act"] = "silu",
            ["vocab_size"] = Vocabulary,
            ["hidden_size"] = Hidden,
            ["intermediate_size"] = Intermediate,
            ["num_hidden_layers"] = Layers,
            ["num_attention_heads"] = Heads,
            ["num_key_value_heads"] = KeyValueHeads,
            ["max_position_embeddings"] = 256,
            ["rms_norm_eps"] = 1e-5,
            ["rope_theta"] = 10000.0,
            ["tie_word_embeddings"] = false,
            ["torch_dtype"] = "float32",
            ["bos_token_id"] = 1,
            ["eos_token_id"] = EndOfText,
        }));
        return folder;

        void Matrix(string name, long rows, long columns) => tensors[$"{name}.weight"] = Random(name, [rows, columns], 0.6);
    }
}
