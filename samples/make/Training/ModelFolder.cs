using System.Text.Json;
using System.Text.Json.Nodes;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Samples.Make.Training;

/// <summary>Writes what transformers would: config.json and model.safetensors in float16. The tokenizer's files lie there already.</summary>
internal static class ModelFolder
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static void Write(string folder, LlamaForCausalLm model)
    {
        var config = model.Config;
        WriteConfig(folder, new()
        {
            ["architectures"] = new JsonArray("LlamaForCausalLM"),
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
            ["torch_dtype"] = "float16",
        });
        WriteWeights(folder, model);
    }

    public static void Write(string folder, RobertaForSequenceClassification model)
    {
        var config = model.Config;
        WriteConfig(folder, new()
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
            ["id2label"] = new JsonObject(config.Labels.Select(l => KeyValuePair.Create($"{l.Key}", (JsonNode?)l.Value))),
            ["label2id"] = new JsonObject(config.Labels.Select(l => KeyValuePair.Create(l.Value, (JsonNode?)l.Key))),
            ["torch_dtype"] = "float16",
        });
        WriteWeights(folder, model);
    }

    private static void WriteConfig(string folder, JsonObject config) =>
        File.WriteAllText(Path.Combine(folder, "config.json"), config.ToJsonString(Indented) + "\n");

    private static void WriteWeights(string folder, nn.Module model)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var weights = model.named_parameters().ToDictionary(p => p.name, p => p.parameter.to(ScalarType.Float16));
        using var file = File.Create(Path.Combine(folder, "model.safetensors"));
        SafetensorsFile.Write(file, weights, SafetensorsFile.PyTorchMetadata);
    }
}
