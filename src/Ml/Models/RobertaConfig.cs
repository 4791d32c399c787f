using RlhfFunctions.Ml.Artifacts;

namespace RlhfFunctions.Ml.Models;

/// <summary>The shape of a RoBERTa classifier: the part of config.json that decides what it computes.</summary>
public sealed record RobertaConfig
{
    /// <summary>As config.json names the architecture; XLM-RoBERTa is the same with another vocabulary, DistilRoBERTa with fewer layers.</summary>
    public static IReadOnlyList<string> ModelTypes { get; } = ["roberta", "xlm-roberta"];

    public required int VocabularySize { get; init; }

    /// <summary>H.</summary>
    public required int HiddenSize { get; init; }

    public required int IntermediateSize { get; init; }

    public required int Layers { get; init; }

    public required int Heads { get; init; }

    /// <summary>Rows of the position table; the first PadId + 1 serve no token.</summary>
    public required int PositionRows { get; init; }

    /// <summary>What each output stands for, by its index.</summary>
    public required IReadOnlyDictionary<int, string> Labels { get; init; }

    /// <summary>How the outputs become probabilities.</summary>
    public LabelRule Rule { get; init; }

    public double LayerNormEpsilon { get; init; } = 1e-12;

    public int TokenTypes { get; init; } = 1;

    public int PadId { get; init; } = 1;

    /// <summary>Deviation of random initial weights.</summary>
    public double InitializerRange { get; init; } = 0.02;

    /// <summary>Tokens of a text, its begin and end token included.</summary>
    public int MaxLength => PositionRows - PadId - 1;

    /// <summary>Reads config.json of a model folder.</summary>
    /// <exception cref="InvalidDataException">A key is missing, wrong, or one whose effect is unknown here.</exception>
    public static RobertaConfig Load(string folder) => Read(ConfigFile.Open(Path.Combine(folder, "config.json")));

    /// <summary>Reads a configuration as transformers 4 and 5 write it.</summary>
    /// <exception cref="InvalidDataException">A key is missing, wrong, or one whose effect is unknown here.</exception>
    public static RobertaConfig Read(ConfigFile file)
    {
        file.Require("model_type", null, [.. ModelTypes]);
        file.Require("hidden_act", "gelu", "gelu");
        file.Require("position_embedding_type", "absolute", "absolute");
        var labels = ClassifierLabels.Read(file);
        var config = new RobertaConfig
        {
            VocabularySize = file.Int("vocab_size"),
            HiddenSize = file.Int("hidden_size"),
            IntermediateSize = file.Int("intermediate_size"),
            Layers = file.Int("num_hidden_layers"),
            Heads = file.Int("num_attention_heads"),
            PositionRows = file.Int("max_position_embeddings"),
            Labels = labels.Names,
            Rule = labels.Rule,
            LayerNormEpsilon = file.Number("layer_norm_eps", 1e-12),
            TokenTypes = file.Int("type_vocab_size", 2),
            PadId = file.Int("pad_token_id", 1),
            InitializerRange = file.Number("initializer_range", 0.02),
        };
        // What transformers adds to a tied embedding concerns its language model, not a classifier.
        file.Flag("tie_word_embeddings", true);
        file.RefuseUnknownKeys();
        config.Validate(file.Name);
        return config;
    }

    /// <exception cref="InvalidDataException">The numbers do not make a model.</exception>
    internal void Validate(string source)
    {
        if (Math.Min(Math.Min(VocabularySize, HiddenSize), Math.Min(IntermediateSize, Layers)) <= 0 || Heads <= 0 || TokenTypes <= 0)
            throw new InvalidDataException($"{source}: sizes, layers, heads and token types must be positive.");
        if (HiddenSize % Heads != 0)
            throw new InvalidDataException($"{source}: a hidden size of {HiddenSize} does not divide into {Heads} heads.");
        if (MaxLength <= 0)
            throw new InvalidDataException($"{source}: {PositionRows} positions leave none for tokens.");
        if (!Labels.Keys.Order().SequenceEqual(Enumerable.Range(0, Labels.Count)) || Labels.Count == 0)
            throw new InvalidDataException($"{source}: 'id2label' must name the outputs 0, 1, ….");
    }
}
