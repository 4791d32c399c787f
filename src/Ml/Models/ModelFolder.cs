using System.Text.Json;
using System.Text.Json.Nodes;
using RlhfFunctions.Ml.Artifacts;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>Writes what transformers would: config.json and model.safetensors. The tokenizer's files are the caller's.</summary>
public static class ModelFolder
{
    public const string ConfigFile = "config.json", WeightsFile = "model.safetensors";

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>A Llama language model, in float16.</summary>
    public static void Write(string folder, LlamaForCausalLm model)
    {
        File.WriteAllText(Path.Combine(folder, ConfigFile), Config(model.Config, "LlamaForCausalLM", ScalarType.Float16));
        using var file = File.Create(Path.Combine(folder, WeightsFile));
        WriteWeights(file, model.named_parameters().Select(p => (p.name, (Tensor)p.parameter)), ScalarType.Float16);
    }

    /// <summary>A RoBERTa classifier, in float16.</summary>
    public static void Write(string folder, RobertaForSequenceClassification model)
    {
        foreach (var (name, bytes) in Files(model, ScalarType.Float16))
            File.WriteAllBytes(Path.Combine(folder, name), bytes);
    }

    /// <summary>The two files of a RoBERTa classifier.</summary>
    public static IReadOnlyDictionary<string, byte[]> Files(RobertaForSequenceClassification model, ScalarType type) => Files(
        Config(model.Config, type), model.named_parameters().Select(p => (p.name, (Tensor)p.parameter)), type);

    /// <summary>The two files of a Llama classifier: a language model's decoder and a linear map of the mean of its states.</summary>
    /// <param name="model">Its adapter, if it had one, is merged.</param>
    /// <param name="score">[labels, H]</param>
    /// <param name="labels">What each output stands for.</param>
    /// <param name="type">Of the weights.</param>
    public static IReadOnlyDictionary<string, byte[]> Files(
        LlamaForCausalLm model, Tensor score, IReadOnlyDictionary<int, string> labels, ScalarType type) => Files(
        Config(model.Config, LlamaForSequenceClassification.MeanArchitecture, type, labels),
        model.named_parameters().Where(p => p.name.StartsWith("model.", StringComparison.Ordinal))
            .Select(p => (p.name, (Tensor)p.parameter)).Append((LlamaForSequenceClassification.ScoreName, score)),
        type);

    private static Dictionary<string, byte[]> Files(string config, IEnumerable<(string Name, Tensor Weight)> weights, ScalarType type)
    {
        using var stream = new MemoryStream();
        WriteWeights(stream, weights, type);
        return new() { [ConfigFile] = System.Text.Encoding.UTF8.GetBytes(config), [WeightsFile] = stream.ToArray() };
    }

    private static string Config(LlamaConfig config, string architecture, ScalarType type, IReadOnlyDictionary<int, string>? labels = null)
    {
        var json = new JsonObject
        {
            ["architectures"] = new JsonArray(architecture),
            ["model_type"] = "llama",
            ["vocab_size"] = config.VocabularySize,
            ["hidden_size"] = config.HiddenSize,
            ["intermediate_size"] = config.IntermediateSize,
            ["num_hidden_layers"] = config.Layers,
            ["num_attention_heads"] = config.Heads,
            ["num_key_value_heads"] = config.KeyValueHeads,
            ["head_dim"] = config.HeadSize,
            ["max_position_embeddings"] = config.ContextLength,
            ["rms_norm_eps"] = config.RmsNormEpsilon,
            ["rope_theta"] = config.RopeTheta,
            ["hidden_act"] = "silu",
            ["tie_word_embeddings"] = config.TieWordEmbeddings,
            ["initializer_range"] = config.InitializerRange,
            ["bos_token_id"] = config.BeginOfTextId,
            ["eos_token_id"] = config.EndOfTextIds[0],
            ["pad_token_id"] = config.PadId,
        };
        if (labels is not null)
        {
            AddLabels(json, labels);
            json[LlamaForSequenceClassification.PoolingKey] = LlamaForSequenceClassification.MeanPooling;
        }
        return Finish(json, type);
    }

    private static string Config(RobertaConfig config, ScalarType type)
    {
        var json = new JsonObject
        {
            ["architectures"] = new JsonArray("RobertaForSequenceClassification"),
            ["model_type"] = "roberta",
            ["vocab_size"] = config.VocabularySize,
            ["hidden_size"] = config.HiddenSize,
            ["intermediate_size"] = config.IntermediateSize,
            ["num_hidden_layers"] = config.Layers,
            ["num_attention_heads"] = config.Heads,
            ["max_position_embeddings"] = config.PositionRows,
            ["type_vocab_size"] = config.TokenTypes,
            ["layer_norm_eps"] = config.LayerNormEpsilon,
            ["hidden_act"] = "gelu",
            ["initializer_range"] = config.InitializerRange,
            ["bos_token_id"] = 0,
            ["eos_token_id"] = 2,
            ["pad_token_id"] = config.PadId,
        };
        AddLabels(json, config.Labels);
        return Finish(json, type);
    }

    private static void AddLabels(JsonObject json, IReadOnlyDictionary<int, string> labels)
    {
        json["id2label"] = new JsonObject(labels.Select(l => KeyValuePair.Create($"{l.Key}", (JsonNode?)l.Value)));
        json["label2id"] = new JsonObject(labels.Select(l => KeyValuePair.Create(l.Value, (JsonNode?)l.Key)));
    }

    private static string Finish(JsonObject json, ScalarType type)
    {
        json["torch_dtype"] = type switch { ScalarType.Float16 => "float16", _ => "float32" };
        return json.ToJsonString(Indented) + "\n";
    }

    private static void WriteWeights(Stream stream, IEnumerable<(string Name, Tensor Weight)> weights, ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        SafetensorsFile.Write(stream, weights.ToDictionary(w => w.Name, w => w.Weight.to(type)), SafetensorsFile.PyTorchMetadata);
    }
}
