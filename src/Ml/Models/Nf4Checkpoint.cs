using System.Text.Json;
using System.Text.Json.Nodes;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Quantization;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>
/// Llama folders with their projections in 4 bits, as transformers and bitsandbytes save them. Loading one gives the same model,
/// bit for bit, as quantising the original while it is loaded.
/// </summary>
public static class Nf4Checkpoint
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>
    /// Writes config.json and model.safetensors. One matrix is in memory at a time; embedding, norms and output layer are copied in
    /// their own type.
    /// </summary>
    /// <param name="source">A Llama folder, in one file or in shards.</param>
    /// <param name="target">A folder, made if it is not there.</param>
    /// <param name="progress">Told after each tensor: bytes of the source done, and all its bytes.</param>
    /// <exception cref="InvalidDataException">The source is no Llama, damaged, or quantised already.</exception>
    public static void Write(string source, string target, Action<long, long>? progress = null)
    {
        var projections = WeightInventory.Of(LlamaConfig.Load(source)).Weights.Where(w => w.CanBeQuantized).Select(w => w.Name).ToHashSet();
        using var folder = HuggingFaceFolder.Open(source);
        var config = JsonNode.Parse(File.ReadAllBytes(Path.Combine(source, "config.json")))!.AsObject();
        if (config["quantization_config"] is not null)
            throw new InvalidDataException($"{source} is quantised already. Load it as it is.");
        config["quantization_config"] = QuantizationConfig();

        Directory.CreateDirectory(target);
        var entries = folder.TensorNames.Order(StringComparer.Ordinal).Select(name => (Name: name, Entry: folder.Find(name)!)).ToList();
        var plans = entries.SelectMany(t => projections.Contains(t.Name)
            ? BitsAndBytesTensors.Plan(t.Name, t.Entry.Shape)
            : [new SafetensorsPlan(t.Name, t.Entry.Type, t.Entry.Shape)]);
        using var file = new SafetensorsWriter(Path.Combine(target, "model.safetensors"), [.. plans], SafetensorsFile.PyTorchMetadata);
        var (done, total) = (0L, entries.Sum(t => t.Entry.Length));
        foreach (var (name, entry) in entries)
        {
            using var scope = NewDisposeScope();
            if (projections.Contains(name))
            {
                // From float16, as transformers does and as loading does.
                using var weight = Nf4Weight.Quantize(entry.Shape, ScalarType.Float16, (start, piece) => folder.Load(name, start, piece));
                BitsAndBytesTensors.Write(file, name, weight);
            }
            else
            {
                file.Write(name, folder.Load(name));
            }
            progress?.Invoke(done += entry.Length, total);
        }
        file.Finish();
        File.WriteAllBytes(Path.Combine(target, "config.json"), JsonSerializer.SerializeToUtf8Bytes(config, Indented));
    }

    private static JsonObject QuantizationConfig() => new()
    {
        ["quant_method"] = "bitsandbytes",
        ["load_in_4bit"] = true,
        ["_load_in_4bit"] = true,
        ["load_in_8bit"] = false,
        ["_load_in_8bit"] = false,
        ["bnb_4bit_quant_type"] = "nf4",
        ["bnb_4bit_quant_storage"] = "uint8",
        ["bnb_4bit_compute_dtype"] = "float16",
        ["bnb_4bit_use_double_quant"] = false,
        ["llm_int8_enable_fp32_cpu_offload"] = false,
        ["llm_int8_has_fp16_weight"] = false,
        ["llm_int8_skip_modules"] = null,
        ["llm_int8_threshold"] = 6.0,
    };
}
