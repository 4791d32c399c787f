using System.Text.Json;
using System.Text.Json.Nodes;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Lora;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Export;

/// <summary>What leaves here for other programs: transformers and whatever reads its folders, PEFT, llama.cpp and its kin.</summary>
public static class ModelExport
{
    private const string ConfigFileName = "config.json";

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>What goes along with weights, as it is.</summary>
    private static readonly string[] Beside =
    [
        "generation_config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "vocab.json", "merges.txt", "chat_template.jinja",
    ];

    /// <summary>A model folder as transformers saves it, the adapter in its weights.</summary>
    /// <param name="model">A model folder; a 4-bit one is written out in full.</param>
    /// <param name="adapter">A PEFT folder, or null: the model as it is.</param>
    /// <param name="type">Float16, BFloat16 or Float32.</param>
    /// <param name="output">The folder; made if need be.</param>
    /// <returns>The files written.</returns>
    /// <exception cref="InvalidDataException">Model or adapter are broken or do not belong together, or a number does not fit into the type.</exception>
    public static IReadOnlyList<string> Merged(string model, string? adapter, ScalarType type, string output)
    {
        using var weights = MergedWeights.Open(model, adapter);
        Directory.CreateDirectory(output);
        var path = Path.Combine(output, "model.safetensors");
        using var file = new SafetensorsWriter(
            path, [.. weights.Weights.Select(weight => new SafetensorsPlan(weight.Name, type, weight.Shape))], SafetensorsFile.PyTorchMetadata);
        foreach (var weight in weights.Weights)
        {
            using var scope = NewDisposeScope();
            file.Write(weight.Name, Converted.To(weights.Load(weight), type, weight.Name));
        }
        file.Finish();

        var config = JsonNode.Parse(File.ReadAllBytes(Path.Combine(model, ConfigFileName)))!.AsObject();
        config.Remove("quantization_config");
        config.Remove("dtype");
        config["torch_dtype"] = type.ToString().ToLowerInvariant();
        File.WriteAllBytes(Path.Combine(output, ConfigFileName), JsonSerializer.SerializeToUtf8Bytes(config, Indented));
        string[] others = [.. Beside.Where(name => File.Exists(Path.Combine(model, name)))];
        foreach (var name in others)
            File.Copy(Path.Combine(model, name), Path.Combine(output, name), overwrite: true);
        return [path, Path.Combine(output, ConfigFileName), .. others.Select(name => Path.Combine(output, name))];
    }

    /// <summary>The adapter alone, as PEFT saves it.</summary>
    /// <param name="model">The model folder it was trained on, to see that it belongs there.</param>
    /// <param name="adapter">A PEFT folder.</param>
    /// <param name="output">The folder; made if need be.</param>
    /// <param name="baseModel">What readers shall load as the base; null: what the adapter says.</param>
    /// <returns>The files written.</returns>
    /// <exception cref="InvalidDataException">The adapter is broken or none of this model.</exception>
    public static IReadOnlyList<string> Peft(string model, string adapter, string output, string? baseModel = null)
    {
        MergedWeights.Open(model, adapter).Dispose();
        var folder = PeftAdapterFolder.Open(adapter);
        Directory.CreateDirectory(output);
        string[] written = [Path.Combine(output, PeftAdapterFolder.ConfigFileName), Path.Combine(output, PeftAdapterFolder.WeightsFileName)];
        var weights = File.ReadAllBytes(Path.Combine(adapter, PeftAdapterFolder.WeightsFileName)); // first: it may be the same folder
        File.WriteAllBytes(written[0], PeftAdapterFolder.WriteConfig(folder.Settings, baseModel ?? folder.BaseModel ?? model));
        File.WriteAllBytes(written[1], weights);
        return written;
    }

    /// <summary>One GGUF file with everything in it: merged weights, tokenizer, chat template.</summary>
    /// <inheritdoc cref="Merged"/>
    public static IReadOnlyList<string> Gguf(string model, string? adapter, ScalarType type, string output)
    {
        using var weights = MergedWeights.Open(model, adapter);
        Directory.CreateDirectory(output);
        var path = Path.Combine(output, "model.gguf");
        GgufExport.Write(weights, model, NameOf(model), type, path);
        return [path];
    }

    /// <summary>The adapter as a GGUF file, to be put on the base model's by llama.cpp (--lora) or Ollama (ADAPTER).</summary>
    /// <param name="model">The model folder it was trained on.</param>
    /// <param name="adapter">A PEFT folder.</param>
    /// <param name="type">Float16, BFloat16 or Float32.</param>
    /// <param name="output">The folder; made if need be.</param>
    /// <returns>The files written.</returns>
    /// <exception cref="InvalidDataException">Model or adapter are broken or do not belong together.</exception>
    public static IReadOnlyList<string> GgufAdapter(string model, string adapter, ScalarType type, string output)
    {
        using var weights = MergedWeights.Open(model, adapter);
        Directory.CreateDirectory(output);
        var path = Path.Combine(output, "adapter.gguf");
        GgufExport.WriteAdapter(weights, NameOf(model), type, path);
        return [path];
    }

    private static string NameOf(string folder) => Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));
}
