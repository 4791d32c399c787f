using System.Text.RegularExpressions;
using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Export;

/// <summary>Models and adapters as GGUF: names, shapes and order of weights as llama.cpp's converters write them.</summary>
internal static partial class GgufExport
{
    private static readonly Dictionary<string, string> Names = new()
    {
        ["model.embed_tokens"] = "token_embd",
        ["model.norm"] = "output_norm",
        ["lm_head"] = "output",
        ["input_layernorm"] = "attn_norm",
        ["self_attn.q_proj"] = "attn_q",
        ["self_attn.k_proj"] = "attn_k",
        ["self_attn.v_proj"] = "attn_v",
        ["self_attn.o_proj"] = "attn_output",
        ["self_attn.q_norm"] = "attn_q_norm",
        ["self_attn.k_norm"] = "attn_k_norm",
        ["post_attention_layernorm"] = "ffn_norm",
        ["mlp.gate_proj"] = "ffn_gate",
        ["mlp.up_proj"] = "ffn_up",
        ["mlp.down_proj"] = "ffn_down",
    };

    /// <summary>A whole model with its tokenizer and chat template.</summary>
    public static void Write(MergedWeights weights, string modelFolder, string name, ScalarType type, string path)
    {
        var config = weights.Config;
        var facts = Facts(config, name, type);
        foreach (var (key, value) in GgufVocabulary.Read(modelFolder, config.VocabularySize))
            facts[key] = value;
        var tensors = weights.Weights.Select(weight => new GgufTensor(
            NameOf(weight.Name), weight.Shape, weight.Shape.Count == 1 ? ScalarType.Float32 : type, () => Ordered(config, weight.Name, weights.Load(weight)))).ToList();
        if (config.RopeScaling?.Bands is not null)
            tensors.Add(new("rope_freqs.weight", [config.HeadSize / 2], ScalarType.Float32, () => tensor(Stretches(config))));
        GgufFile.Write(path, facts, tensors);
    }

    /// <summary>An adapter alone, for the model it was trained on.</summary>
    public static void WriteAdapter(MergedWeights weights, string name, ScalarType type, string path)
    {
        var facts = new Dictionary<string, object>
        {
            ["general.architecture"] = Architecture(weights.Config),
            ["general.type"] = "adapter",
            ["general.name"] = name,
            ["adapter.type"] = "lora",
            ["adapter.lora.alpha"] = (float)(weights.Scaling * weights.Rank), // llama.cpp divides by the rank
        };
        var tensors = new List<GgufTensor>();
        foreach (var weight in weights.Weights)
        {
            if (weights.Branch(weight.Name) is not var (a, b))
                continue;
            using (a)
            using (b)
            {
                tensors.Add(new($"{NameOf(weight.Name)}.lora_a", a.shape, type, () => weights.Branch(weight.Name)!.Value.A));
                tensors.Add(new($"{NameOf(weight.Name)}.lora_b", b.shape, type, () => Ordered(weights.Config, weight.Name, weights.Branch(weight.Name)!.Value.B)));
            }
        }
        GgufFile.Write(path, facts, tensors);
    }

    private static Dictionary<string, object> Facts(LlamaConfig config, string name, ScalarType type)
    {
        var architecture = Architecture(config);
        var facts = new Dictionary<string, object>
        {
            ["general.architecture"] = architecture,
            ["general.type"] = "model",
            ["general.name"] = name,
            ["general.file_type"] = type switch { ScalarType.Float32 => 0u, ScalarType.Float16 => 1u, _ => 32u },
            [$"{architecture}.vocab_size"] = (uint)config.VocabularySize,
            [$"{architecture}.context_length"] = (uint)config.ContextLength,
            [$"{architecture}.embedding_length"] = (uint)config.HiddenSize,
            [$"{architecture}.block_count"] = (uint)config.Layers,
            [$"{architecture}.feed_forward_length"] = (uint)config.IntermediateSize,
            [$"{architecture}.attention.head_count"] = (uint)config.Heads,
            [$"{architecture}.attention.head_count_kv"] = (uint)config.KeyValueHeads,
            [$"{architecture}.attention.key_length"] = (uint)config.HeadSize,
            [$"{architecture}.attention.value_length"] = (uint)config.HeadSize,
            [$"{architecture}.attention.layer_norm_rms_epsilon"] = (float)config.RmsNormEpsilon,
            [$"{architecture}.rope.dimension_count"] = (uint)config.HeadSize,
            [$"{architecture}.rope.freq_base"] = (float)config.RopeTheta,
        };
        if (config.RopeScaling is { Bands: null } linear)
        {
            facts[$"{architecture}.rope.scaling.type"] = "linear";
            facts[$"{architecture}.rope.scaling.factor"] = (float)linear.Factor;
        }
        return facts;
    }

    /// <summary>Mistral's is Llama's.</summary>
    private static string Architecture(LlamaConfig config) => config.ModelType == "mistral" ? "llama" : config.ModelType;

    private static string NameOf(string weight)
    {
        var (layer, kind) = (weight[..weight.LastIndexOf('.')], weight[weight.LastIndexOf('.')..]);
        var match = InLayer().Match(layer);
        return match.Success ? $"blk.{match.Groups["layer"].Value}.{Names[match.Groups["name"].Value]}{kind}" : Names[layer] + kind;
    }

    /// <summary>
    /// llama.cpp turns neighbours of a Llama's head, (0, 1), (2, 3), …, where transformers turns halves, (0, D/2), (1, D/2 + 1), …: rows of
    /// queries and keys change places. Qwen's are turned by halves in both.
    /// </summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="weight">Its Hugging Face name.</param>
    /// <param name="rows">[heads · D, …]</param>
    private static Tensor Ordered(LlamaConfig config, string weight, Tensor rows)
    {
        var heads = weight.Contains(".q_proj.", StringComparison.Ordinal) ? config.Heads : weight.Contains(".k_proj.", StringComparison.Ordinal) ? config.KeyValueHeads : 0;
        if (heads == 0 || Architecture(config) != "llama")
            return rows;
        using var scope = NewDisposeScope();
        var paired = rows.reshape([heads, 2, config.HeadSize / 2, .. rows.shape[1..]]).swapaxes(1, 2).reshape(rows.shape);
        rows.Dispose();
        return scope.MoveToOuter(paired);
    }

    /// <summary>By what Llama 3 divides each frequency; see <see cref="RotaryEmbedding"/>. [D/2]</summary>
    private static float[] Stretches(LlamaConfig config)
    {
        var (scaling, bands) = (config.RopeScaling!, config.RopeScaling!.Bands!);
        return [.. Enumerable.Range(0, config.HeadSize / 2).Select(i =>
        {
            var turns = bands.OriginalContextLength / (2 * Math.PI * Math.Pow(config.RopeTheta, 2.0 * i / config.HeadSize));
            var kept = Math.Clamp((turns - bands.LowFrequencyFactor) / (bands.HighFrequencyFactor - bands.LowFrequencyFactor), 0, 1);
            return (float)(1 / (((1 - kept) / scaling.Factor) + kept));
        })];
    }

    [GeneratedRegex(@"^model\.layers\.(?<layer>\d+)\.(?<name>.+)$")]
    private static partial Regex InLayer();
}
