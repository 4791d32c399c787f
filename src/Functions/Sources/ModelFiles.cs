using System.IO.Enumeration;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Sources;

/// <summary>Which files of a model folder or repository the loaders read.</summary>
public static class ModelFiles
{
    public const string Config = "config.json";

    /// <summary>Which file each tensor is in, where there are several.</summary>
    public const string Index = "model.safetensors.index.json";

    private const string Weights = "model.safetensors";
    private const string Shards = "model-*.safetensors";

    private static readonly string[] Others =
    [
        "generation_config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
        "merges.txt", "sentencepiece.bpe.model", "chat_template.jinja",
    ];

    private static readonly string[] Pickles = [".bin", ".pt", ".pth", ".pkl", ".ckpt"];

    /// <summary>Those of a repository, sorted by name; files in its folders are none of them.</summary>
    /// <exception cref="InvalidInputException">It holds no model that can be loaded.</exception>
    public static IReadOnlyList<HubFile> Of(HubRepository repository)
    {
        var byName = repository.Files.ToDictionary(file => file.Name, StringComparer.Ordinal);
        return [.. Select(byName.Keys, $"The repository \"{repository.Source}\"").Select(name => byName[name])];
    }

    /// <summary>Whether a file holds weights or tells which file does.</summary>
    public static bool IsWeights(string name)
    {
        return name is Weights or Index || FileSystemName.MatchesSimpleExpression(Shards, name, ignoreCase: false);
    }

    /// <summary>Whether the loaders read a file of that name.</summary>
    public static bool IsKnown(string name)
    {
        return name == Config || IsWeights(name) || Others.Contains(name);
    }

    /// <summary>All names that files of a model can have.</summary>
    public static IEnumerable<string> Names => [Config, Weights, Index, Shards, .. Others];

    /// <summary>Those among some names, sorted.</summary>
    /// <param name="names">What there is; files in folders are none of them.</param>
    /// <param name="place">Where, for errors.</param>
    /// <exception cref="InvalidInputException">They are no model that can be loaded.</exception>
    public static IReadOnlyList<string> Select(IEnumerable<string> names, string place)
    {
        string[] there = [.. names.Where(name => !name.Contains('/', StringComparison.Ordinal))];
        if (!there.Contains(Config))
            throw new InvalidInputException($"{place} holds no {Config}: it is no Hugging Face model. Name one that has {Config} and {Weights}.");

        string[] weights = there.Contains(Weights) ? [Weights] : there.Contains(Index) ? [.. there.Where(IsWeights)] : [];
        if (weights.Length > 0) return [.. Others.Where(there.Contains).Concat(weights).Append(Config).Order(StringComparer.Ordinal)];
        throw new InvalidInputException(there.FirstOrDefault(name => Pickles.Contains(Path.GetExtension(name))) is { } pickle
            ? $"{place} holds its weights only as a PyTorch pickle ({pickle}), which runs code of its author's choice when it is read. Take a revision with "
                + "safetensors (often one is offered as a pull request: hf:owner/name@refs/pr/1), or convert the weights by hand and import the folder."
            : $"{place} holds neither {Weights} nor {Index}: there are no weights to load. Name a model that has them.");
    }
}
