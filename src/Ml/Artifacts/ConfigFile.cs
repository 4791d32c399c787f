using System.Text.Json;

namespace RlhfFunctions.Ml.Artifacts;

/// <summary>
/// A Hugging Face configuration in JSON, read key by key. What was never asked for can be refused by name: a key this code does
/// not know may change what the model computes.
/// </summary>
public sealed class ConfigFile
{
    // Written by transformers for every model; none changes a forward pass in evaluation mode.
    private static readonly HashSet<string> Harmless = new(
    [
        "_attn_implementation_autoset", "_name_or_path", "add_cross_attention", "architectures", "attention_dropout",
        "attention_probs_dropout_prob", "bad_words_ids", "begin_suppress_tokens", "bos_token_id", "chunk_size_feed_forward",
        "classifier_dropout", "cross_attention_hidden_size", "decoder_start_token_id",
        "diversity_penalty", "do_sample", "dtype", "early_stopping",
        "encoder_no_repeat_ngram_size", "eos_token_id", "exponential_decay_length_penalty", "finetuning_task",
        "forced_bos_token_id", "forced_eos_token_id", "gradient_checkpointing", "hidden_dropout_prob", "id2label",
        "initializer_range", "is_decoder", "is_encoder_decoder", "is_llama_config", "label2id", "length_penalty", "max_length",
        "max_sequence_length", "min_length",
        "no_repeat_ngram_size", "num_beam_groups", "num_beams", "num_return_sequences", "output_attentions",
        "output_hidden_states", "output_past", "output_scores", "pad_token_id", "prefix", "pretraining_tp", "problem_type",
        "pruned_heads", "remove_invalid_values", "repetition_penalty", "return_dict", "return_dict_in_generate",
        "sep_token_id", "suppress_tokens", "task_specific_params", "temperature", "tf_legacy_loss", "tie_encoder_decoder",
        "tokenizer_class", "top_k", "top_p", "torch_dtype", "torchscript", "transformers.js_config", "transformers_version",
        "typical_p", "unsloth_fixed", "unsloth_version", "use_bfloat16", "use_cache",
    ], StringComparer.Ordinal);

    private readonly JsonElement _root;
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);

    private ConfigFile(string name, JsonElement root) => (Name, _root) = (name, root);

    /// <summary>The file's name, for errors.</summary>
    public string Name { get; }

    /// <exception cref="InvalidDataException">The file is absent or no JSON object.</exception>
    public static ConfigFile Open(string path)
    {
        if (!File.Exists(path))
            throw new InvalidDataException($"{path} is missing: the folder must be as transformers' or PEFT's save_pretrained leaves it.");
        return Parse(File.ReadAllBytes(path), path);
    }

    /// <exception cref="InvalidDataException">The bytes are no JSON object.</exception>
    public static ConfigFile Parse(ReadOnlyMemory<byte> json, string name)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var root = document.RootElement.Clone();
            return root.ValueKind == JsonValueKind.Object
                ? new ConfigFile(name, root)
                : throw new InvalidDataException($"{name} is JSON but no object. Fetch the file again.");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{name} is no JSON ({e.Message}) Fetch the file again.", e);
        }
    }

    /// <summary>The value, or null where the key is absent or null.</summary>
    public JsonElement? Find(string key)
    {
        _known.Add(key);
        return _root.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }

    /// <summary>Whether the key is there, be it as null.</summary>
    public bool Has(string key) => _root.TryGetProperty(key, out _);

    /// <summary>An object in the object, or null.</summary>
    public ConfigFile? Section(string key) => Find(key) is { } value
        ? value.ValueKind == JsonValueKind.Object ? new ConfigFile($"{Name} ({key})", value) : throw Wrong(key, value, "an object")
        : null;

    /// <summary>A required number, or the given one.</summary>
    /// <exception cref="InvalidDataException">It is missing or no whole number.</exception>
    public int Int(string key, int? otherwise = null) => Find(key) is { } value
        ? value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) ? number : throw Wrong(key, value, "a whole number")
        : otherwise ?? throw Missing(key);

    /// <inheritdoc cref="Int"/>
    public double Number(string key, double? otherwise = null) => Find(key) is { } value
        ? value.ValueKind == JsonValueKind.Number ? value.GetDouble() : throw Wrong(key, value, "a number")
        : otherwise ?? throw Missing(key);

    /// <summary>True or false; the given value where the key is absent.</summary>
    public bool Flag(string key, bool otherwise) => Find(key) is { } value
        ? value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw Wrong(key, value, "true or false")
        : otherwise;

    /// <summary>A string, or the given one.</summary>
    public string? Text(string key, string? otherwise = null) => Find(key) is { } value
        ? value.ValueKind == JsonValueKind.String ? value.GetString() : throw Wrong(key, value, "a string")
        : otherwise;

    /// <summary>Token ids given as one number or as a list; none where the key is absent.</summary>
    public IReadOnlyList<int> Ids(string key) => Find(key) is not { } value ? []
        : value.ValueKind == JsonValueKind.Number ? [value.GetInt32()]
        : value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(e => e.ValueKind == JsonValueKind.Number)
            ? [.. value.EnumerateArray().Select(e => e.GetInt32())]
            : throw Wrong(key, value, "a token id or a list of them");

    /// <summary>The value must be one of these.</summary>
    /// <exception cref="InvalidDataException">It is another: the model computes something this code does not.</exception>
    public void Require(string key, string? otherwise, params ReadOnlySpan<string> supported)
    {
        var text = Text(key, otherwise);
        if (!supported.Contains(text))
            throw new InvalidDataException($"{Name}: '{key}' is '{text}'; supported is {string.Join(", ", supported.ToArray())}.");
    }

    /// <summary>Refuses keys never asked for, unless they are known to change nothing or are switched off (null or false).</summary>
    /// <exception cref="InvalidDataException">Such a key is there.</exception>
    public void RefuseUnknownKeys()
    {
        var unknown = _root.EnumerateObject()
            .Where(p => !_known.Contains(p.Name) && !Harmless.Contains(p.Name))
            .Where(p => p.Value.ValueKind is not (JsonValueKind.Null or JsonValueKind.False))
            .Select(p => $"'{p.Name}': {p.Value.GetRawText()}").ToList();
        if (unknown.Count > 0)
            throw new InvalidDataException(
                $"{Name}: this loader does not know {string.Join(", ", unknown)}, so it cannot tell what the model computes. "
                + "Use a model without it, or take the key out if it changes nothing in the forward pass.");
    }

    /// <summary>An error about one value.</summary>
    public InvalidDataException Wrong(string key, JsonElement value, string expected) =>
        new($"{Name}: '{key}' is {value.GetRawText()}, expected {expected}.");

    private InvalidDataException Missing(string key) => new($"{Name}: '{key}' is missing.");
}
