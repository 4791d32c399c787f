using RlhfFunctions.Ml.Artifacts;

namespace RlhfFunctions.Ml.Models;

/// <summary>
/// The shape of a Llama model, or of one built like it (Mistral, Qwen2, Qwen3, SmolLM2): the part of config.json that decides what it
/// computes.
/// </summary>
public sealed record LlamaConfig
{
    /// <summary>As config.json names the architectures.</summary>
    public static IReadOnlyList<string> ModelTypes { get; } = ["llama", "mistral", "qwen2", "qwen3"];

    /// <summary>One of <see cref="ModelTypes"/>.</summary>
    public string ModelType { get; init; } = "llama";

    /// <summary>V.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>H.</summary>
    public required int HiddenSize { get; init; }

    public required int IntermediateSize { get; init; }

    public required int Layers { get; init; }

    /// <summary>Query heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Heads of keys and values; each serves Heads / KeyValueHeads query heads.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>D, the width of a head; usually H / Heads.</summary>
    public required int HeadSize { get; init; }

    /// <summary>
    /// Positions the model was trained for. Of a model with a sliding window those of one window: up to there it sees all there is, and
    /// farther on it would need what is not built here.
    /// </summary>
    public required int ContextLength { get; init; }

    public double RmsNormEpsilon { get; init; } = 1e-6;

    public double RopeTheta { get; init; } = 10_000;

    public RopeScaling? RopeScaling { get; init; }

    /// <summary>Whether queries, keys and values have a summand.</summary>
    public bool AttentionBias { get; init; }

    /// <summary>Whether the projection behind attention has one.</summary>
    public bool AttentionOutputBias { get; init; }

    /// <summary>Whether each head's queries and keys are normalised before they are turned.</summary>
    public bool QueryKeyNorm { get; init; }

    public bool MlpBias { get; init; }

    /// <summary>Whether the output projection is the token embedding.</summary>
    public bool TieWordEmbeddings { get; init; }

    /// <summary>Deviation of random initial weights.</summary>
    public double InitializerRange { get; init; } = 0.02;

    public int? BeginOfTextId { get; init; }

    /// <summary>Ids that end a text: generation_config.json's where it has some, as in transformers, else config.json's.</summary>
    public IReadOnlyList<int> EndOfTextIds { get; init; } = [];

    public int? PadId { get; init; }

    /// <summary>Reads config.json (transformers 4 and 5) and generation_config.json of a model folder.</summary>
    /// <exception cref="InvalidDataException">A key is missing, wrong, or one whose effect is unknown here.</exception>
    public static LlamaConfig Load(string folder)
    {
        var config = Read(ConfigFile.Open(Path.Combine(folder, "config.json")));
        var generation = Path.Combine(folder, "generation_config.json");
        if (File.Exists(generation) && ConfigFile.Open(generation).Ids("eos_token_id") is { Count: > 0 } ids)
            config = config with { EndOfTextIds = ids };
        return config;
    }

    /// <summary>Reads a configuration as transformers 4 and 5 write it.</summary>
    /// <exception cref="InvalidDataException">A key is missing, wrong, or one whose effect is unknown here.</exception>
    public static LlamaConfig Read(ConfigFile file)
    {
        file.Require("model_type", null, [.. ModelTypes]);
        var modelType = file.Text("model_type")!;
        var isLlama = modelType == "llama";
        file.Require("hidden_act", "silu", "silu");
        CheckQuantization(file.Section("quantization_config"));
        // transformers 5 keeps everything about rotary positions in one object.
        var rope = file.Section("rope_parameters");
        var scaling = rope ?? file.Section("rope_scaling");
        var heads = file.Int("num_attention_heads");
        var hiddenSize = file.Int("hidden_size");
        // Where a configuration is silent, each architecture of transformers assumes something else: only Llama's is assumed here.
        var contextLength = file.Int("max_position_embeddings", isLlama ? 2048 : null);
        var bias = modelType == "qwen2" || file.Flag("attention_bias", false);
        var config = new LlamaConfig
        {
            ModelType = modelType,
            VocabularySize = file.Int("vocab_size"),
            HiddenSize = hiddenSize,
            IntermediateSize = file.Int("intermediate_size"),
            Layers = file.Int("num_hidden_layers"),
            Heads = heads,
            KeyValueHeads = file.Int("num_key_value_heads", isLlama ? heads : null),
            HeadSize = file.Int("head_dim", modelType == "qwen3" ? 128 : hiddenSize / Math.Max(heads, 1)),
            ContextLength = Math.Min(contextLength, SlidingWindow(file, modelType) ?? contextLength),
            RmsNormEpsilon = file.Number("rms_norm_eps", 1e-6),
            RopeTheta = file.Number("rope_theta", rope?.Number("rope_theta", 10_000) ?? 10_000),
            RopeScaling = scaling is null ? null : ReadScaling(scaling, contextLength),
            AttentionBias = bias,
            AttentionOutputBias = bias && modelType != "qwen2",
            QueryKeyNorm = modelType == "qwen3",
            MlpBias = file.Flag("mlp_bias", false),
            TieWordEmbeddings = file.Flag("tie_word_embeddings", false),
            InitializerRange = file.Number("initializer_range", 0.02),
            BeginOfTextId = file.Ids("bos_token_id") is [var begin, ..] ? begin : null,
            EndOfTextIds = file.Ids("eos_token_id"),
            PadId = file.Ids("pad_token_id") is [var pad, ..] ? pad : null,
        };
        file.RefuseUnknownKeys();
        config.Validate(file.Name);
        return config;
    }

    /// <exception cref="InvalidDataException">The numbers do not make a model.</exception>
    internal void Validate(string source)
    {
        void Check(bool holds, string what)
        {
            if (!holds)
                throw new InvalidDataException($"{source}: {what}.");
        }
        Check(Math.Min(Math.Min(VocabularySize, HiddenSize), Math.Min(IntermediateSize, Layers)) > 0, "sizes and layers must be positive");
        Check(Heads > 0 && KeyValueHeads > 0 && ContextLength > 0, "heads and positions must be positive");
        Check(Heads % KeyValueHeads == 0, $"{Heads} heads cannot share {KeyValueHeads} key and value heads evenly");
        Check(HeadSize > 0 && HeadSize % 2 == 0, $"rotary positions need heads of even width, not {HeadSize}");
    }

    /// <summary>How many tokens back a layer looks, its own included; null: all the way.</summary>
    private static int? SlidingWindow(ConfigFile file, string modelType)
    {
        switch (modelType)
        {
            case "mistral":
                return file.Has("sliding_window") ? file.Find("sliding_window") is null ? null : file.Int("sliding_window") : 4096;
            case "qwen2" or "qwen3":
                var window = file.Int("sliding_window", 4096);
                file.Int("max_window_layers", 28);
                var layers = file.Find("layer_types"); // transformers 5
                return file.Flag("use_sliding_window", false) || layers?.GetRawText().Contains("sliding", StringComparison.Ordinal) == true ? window : null;
            default:
                return null;
        }
    }

    private static RopeScaling? ReadScaling(ConfigFile rope, int contextLength)
    {
        // "type" is what transformers up to 4.42 called it; both may be there.
        var type = rope.Text("rope_type", rope.Text("type", "default"));
        rope.Text("type");
        rope.Number("rope_theta", 0);
        var scaling = type switch
        {
            "default" => null,
            "linear" => new RopeScaling { Factor = rope.Number("factor") },
            "llama3" => new RopeScaling
            {
                Factor = rope.Number("factor"),
                Bands = new RopeScaling.Llama3Bands(
                    rope.Number("low_freq_factor"), rope.Number("high_freq_factor"),
                    rope.Int("original_max_position_embeddings", contextLength)),
            },
            _ => throw new InvalidDataException($"{rope.Name}: rope type '{type}'; supported are default, linear, llama3."),
        };
        rope.RefuseUnknownKeys();
        return scaling;
    }

    private static void CheckQuantization(ConfigFile? quantization)
    {
        if (quantization is null)
            return;
        quantization.Require("quant_method", null, "bitsandbytes");
        if (!quantization.Flag("load_in_4bit", quantization.Flag("_load_in_4bit", false)))
            throw new InvalidDataException($"{quantization.Name}: of bitsandbytes' formats only 4-bit NF4 is supported.");
        quantization.Require("bnb_4bit_quant_type", "fp4", "nf4");
    }
}
