using System.Text.Json;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Artifacts;

/// <summary>A model folder as transformers saves it: config.json and model.safetensors, or shards with their index.</summary>
public sealed class HuggingFaceFolder : IDisposable
{
    private const string WholeFile = "model.safetensors";
    private const string IndexFile = "model.safetensors.index.json";

    private readonly Dictionary<string, SafetensorsFile> _shards = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SafetensorsFile> _byTensor = new(StringComparer.Ordinal);

    private HuggingFaceFolder(string path) => FolderPath = path;

    public string FolderPath { get; }

    /// <summary>The names of all tensors, of whatever shard.</summary>
    public IReadOnlyCollection<string> TensorNames => _byTensor.Keys;

    /// <exception cref="InvalidDataException">A file is missing, damaged, or a pickle.</exception>
    public static HuggingFaceFolder Open(string path)
    {
        if (!Directory.Exists(path))
            throw new DirectoryNotFoundException($"The model folder {path} does not exist.");
        var folder = new HuggingFaceFolder(path);
        try
        {
            folder.OpenWeights();
            return folder;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <summary>config.json.</summary>
    public ConfigFile Config() => ConfigFile.Open(Path.Combine(FolderPath, "config.json"));

    /// <summary>Type and shape of a tensor; null where there is none of that name.</summary>
    public SafetensorsEntry? Find(string tensor) => _byTensor.GetValueOrDefault(tensor)?.Entries[tensor];

    /// <summary>The name of the file a tensor is in; null where there is no tensor of that name.</summary>
    public string? FileOf(string tensor) => _byTensor.GetValueOrDefault(tensor)?.Name is { } path ? Path.GetFileName(path) : null;

    /// <summary>One tensor, on the CPU, in the type given or the file's. The caller owns it.</summary>
    /// <exception cref="InvalidDataException">The folder has no tensor of that name, or its file became shorter.</exception>
    public Tensor Load(string tensor, ScalarType? type = null) => ShardOf(tensor).Load(tensor, type);

    /// <inheritdoc cref="SafetensorsFile.Load(string, long, Tensor)"/>
    public void Load(string tensor, long start, Tensor target) => ShardOf(tensor).Load(tensor, start, target);

    public void Dispose()
    {
        foreach (var shard in _shards.Values)
            shard.Dispose();
    }

    private void OpenWeights()
    {
        var index = Path.Combine(FolderPath, IndexFile);
        if (File.Exists(Path.Combine(FolderPath, WholeFile)))
        {
            Shard(WholeFile);
        }
        else if (File.Exists(index))
        {
            ReadIndex(ConfigFile.Open(index));
        }
        else
        {
            var pickle = Directory.EnumerateFiles(FolderPath, "*.bin").FirstOrDefault();
            throw pickle is null
                ? new InvalidDataException($"{FolderPath} holds neither {WholeFile} nor {IndexFile}: fetch one, with its shards.")
                : SafetensorsFile.PickleRefused(pickle);
        }
        // Tensors an index does not list count too: whether they belong to the model is for the model to say.
        foreach (var file in _shards.Values)
            foreach (var tensor in file.Entries.Keys)
                _byTensor.TryAdd(tensor, file);
    }

    private void ReadIndex(ConfigFile index)
    {
        if (index.Find("weight_map") is not { ValueKind: JsonValueKind.Object } map)
            throw new InvalidDataException($"{index.Name}: 'weight_map' is missing. Fetch the file again.");
        foreach (var entry in map.EnumerateObject())
        {
            // A shard lies beside its index: a path could lead anywhere.
            if (entry.Value.ValueKind != JsonValueKind.String || entry.Value.GetString() is not { Length: > 0 } name
                || Path.GetFileName(name) != name || !File.Exists(Path.Combine(FolderPath, name)))
                throw new InvalidDataException(
                    $"{index.Name}: tensor '{entry.Name}' should be in {entry.Value.GetRawText()}, which is not in the folder. "
                    + "Fetch that shard.");
            var shard = Shard(name);
            if (!shard.Entries.ContainsKey(entry.Name))
                throw new InvalidDataException(
                    $"{index.Name}: tensor '{entry.Name}' should be in '{name}' but is not. Fetch index and shards again, of one model.");
            _byTensor[entry.Name] = shard;
        }
    }

    private SafetensorsFile ShardOf(string tensor) => _byTensor.TryGetValue(tensor, out var shard)
        ? shard
        : throw new InvalidDataException($"{FolderPath} holds no tensor '{tensor}'. Fetch the model again, all of its files.");

    /// <summary>A file of weights, opened once.</summary>
    private SafetensorsFile Shard(string name)
    {
        if (!_shards.TryGetValue(name, out var shard))
            _shards.Add(name, shard = SafetensorsFile.Open(Path.Combine(FolderPath, name)));
        return shard;
    }
}
