using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Models;

namespace RlhfFunctions.Ml.Lora;

/// <summary>An adapter as PEFT's save_pretrained leaves it: adapter_config.json and adapter_model.safetensors.</summary>
public sealed record PeftAdapterFolder
{
    public const string ConfigFileName = "adapter_config.json";
    public const string WeightsFileName = "adapter_model.safetensors";

    // Keys that change what an adapter computes in a way not implemented here; null, false and empty switch them off.
    private static readonly string[] Unsupported =
    [
        "alora_invocation_tokens", "alpha_pattern", "arrow_config", "exclude_modules", "fan_in_fan_out", "layer_replication",
        "layers_to_transform", "lora_bias", "modules_to_save", "rank_pattern", "target_parameters", "trainable_token_indices",
        "use_bdlora", "use_dora", "use_qalora",
    ];

    public required string FolderPath { get; init; }

    public required LoraSettings Settings { get; init; }

    /// <summary>The base model's name, as whoever wrote the folder called it.</summary>
    public required string? BaseModel { get; init; }

    /// <summary>Reads adapter_config.json; keys that newer versions added are ignored unless they change what is computed.</summary>
    /// <exception cref="InvalidDataException">A file is missing or damaged, or the adapter does something unsupported.</exception>
    public static PeftAdapterFolder Open(string path)
    {
        var config = ConfigFile.Open(Path.Combine(path, ConfigFileName));
        config.Require("peft_type", null, "LORA");
        config.Require("bias", "none", "none");
        foreach (var key in Unsupported)
            if (config.Find(key) is { } value && IsOn(value))
                throw new InvalidDataException(
                    $"{config.Name}: '{key}' is {value.GetRawText()}, which is not supported. Train or export the adapter without it.");
        // Initialisations by name may have changed the base model's weights, which then are not those of the base's folder.
        if (config.Find("init_lora_weights") is { ValueKind: JsonValueKind.String } init && init.GetString() is not "gaussian")
            throw new InvalidDataException(
                $"{config.Name}: 'init_lora_weights' is {init.GetRawText()}, which changes the base model. "
                + "Convert the adapter with PEFT's save_pretrained(path_initial_model_for_weight_conversion=…).");
        return new PeftAdapterFolder
        {
            FolderPath = path,
            BaseModel = config.Text("base_model_name_or_path"),
            Settings = new LoraSettings
            {
                Rank = config.Int("r"),
                Alpha = config.Number("lora_alpha"),
                Dropout = config.Number("lora_dropout", 0),
                TargetModules = ReadTargets(config),
                RankStabilized = config.Flag("use_rslora", false),
            },
        };
    }

    /// <summary>Puts the adapter on a model.</summary>
    /// <exception cref="InvalidDataException">The weights are missing, damaged, or do not fit the model.</exception>
    public LoraAdapter Attach(LlamaForCausalLm model)
    {
        var path = Path.Combine(FolderPath, WeightsFileName);
        if (!File.Exists(path) && File.Exists(Path.ChangeExtension(path, ".bin")))
            throw SafetensorsFile.PickleRefused(Path.ChangeExtension(path, ".bin"));
        if (!File.Exists(path))
            throw new InvalidDataException($"{path} is missing: the folder must be as PEFT's save_pretrained leaves it.");
        using var file = SafetensorsFile.Open(path);
        var adapter = LoraAdapter.Attach(model, Settings, seed: 0);
        try
        {
            adapter.Load(file);
            return adapter;
        }
        catch
        {
            adapter.Dispose();
            throw;
        }
    }

    /// <summary>Writes an adapter so that PEFT 0.13 and later read it.</summary>
    /// <param name="path">The folder; made if need be.</param>
    /// <param name="adapter">What to write.</param>
    /// <param name="baseModel">What the readers shall load as the base model: a name on the Hugging Face hub or a path.</param>
    public static void Write(string path, LoraAdapter adapter, string baseModel)
    {
        Directory.CreateDirectory(path);
        foreach (var (name, bytes) in Files(adapter, baseModel))
            File.WriteAllBytes(Path.Combine(path, name), bytes);
    }

    /// <summary>The files of <see cref="Write"/>, by name.</summary>
    public static IReadOnlyDictionary<string, byte[]> Files(LoraAdapter adapter, string baseModel) => new Dictionary<string, byte[]>
    {
        [ConfigFileName] = WriteConfig(adapter.Settings, baseModel),
        [WeightsFileName] = adapter.ToSafetensors(),
    };

    /// <summary>The keys of PEFT 0.13, sorted as it sorts them.</summary>
    public static byte[] WriteConfig(LoraSettings settings, string baseModel)
    {
        var config = new SortedDictionary<string, object?>(StringComparer.Ordinal)
        {
            ["alpha_pattern"] = new Dictionary<string, int>(),
            ["auto_mapping"] = null,
            ["base_model_name_or_path"] = baseModel,
            ["bias"] = "none",
            ["fan_in_fan_out"] = false,
            ["inference_mode"] = true,
            ["init_lora_weights"] = true,
            ["layer_replication"] = null,
            ["layers_pattern"] = null,
            ["layers_to_transform"] = null,
            ["loftq_config"] = new Dictionary<string, int>(),
            ["lora_alpha"] = settings.Alpha,
            ["lora_dropout"] = settings.Dropout,
            ["megatron_config"] = null,
            ["megatron_core"] = "megatron.core",
            ["modules_to_save"] = null,
            ["peft_type"] = "LORA",
            ["r"] = settings.Rank,
            ["rank_pattern"] = new Dictionary<string, int>(),
            ["revision"] = null,
            ["target_modules"] = settings.TargetModules,
            ["task_type"] = "CAUSAL_LM",
            ["use_dora"] = false,
            ["use_rslora"] = settings.RankStabilized,
        };
        return JsonSerializer.SerializeToUtf8Bytes(config, IndentedJson);
    }

    private static JsonSerializerOptions IndentedJson { get; } = new() { WriteIndented = true, IndentSize = 2, NewLine = "\n" };

    private static bool IsOn(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.False => false,
        JsonValueKind.Object => value.EnumerateObject().Any(),
        JsonValueKind.Array => value.GetArrayLength() > 0,
        _ => true,
    };

    private static IReadOnlyList<string> ReadTargets(ConfigFile config) => config.Find("target_modules") switch
    {
        { ValueKind: JsonValueKind.Array } list => [.. list.EnumerateArray().Select(e => e.GetString()!)],
        { ValueKind: JsonValueKind.String } text when text.GetString() == "all-linear" => ["all-linear"],
        { } other => throw config.Wrong("target_modules", other, "a list of names (patterns are not supported)"),
        null => throw new InvalidDataException($"{config.Name}: 'target_modules' is missing."),
    };
}
