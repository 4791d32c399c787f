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

    /// <summary>One tensor, on the CPU, in the type given or the file's. The caller owns it.</summary>
    public Tensor Load(string tensor, ScalarType? type = null) => _byTensor.TryGetValue(tensor, out var shard)
        ? shard.Load(tensor, type)
        : throw new KeyNotFoundException($"{FolderPath} holds no tensor '{tensor}'.");

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
            var file = Shard(WholeFile);
            foreach (var tensor in file.Entries.Keys)
                _byTensor.Add(tensor, file);
        }
        else if (File.Exists(index))
        {
            ReadIndex(ConfigFile.Open(index));
        }
        else
        {
            var pickle = Directory.EnumerateFiles(FolderPath, "*.bin").FirstOrDefault();
            throw pickle is null
                ? new InvalidDataException($"{FolderPath} holds neither {WholeFile} nor {IndexFile}.")
                : SafetensorsFile.PickleRefused(pickle);
        }
    }

    private void ReadIndex(ConfigFile index)
    {
        if (index.Find("weight_map") is not { ValueKind: System.Text.Json.JsonValueKind.Object } map)
            throw new InvalidDataException($"{index.Name}: 'weight_map' is missing. Fetch the file again.");
        foreach (var entry in map.EnumerateObject())
        {
            var name = entry.Value.GetString();
            // A shard lies beside its index: a path could lead anywhere.
            if (name is null || Path.GetFileName(name) != name || !File.Exists(Path.Combine(FolderPath, name)))
                throw new InvalidDataException($"{index.Name}: tensor '{entry.Name}' should be in '{name}', which is not in the folder.");
            var shard = Shard(name);
            if (!shard.Entries.ContainsKey(entry.Name))
                throw new InvalidDataException($"{index.Name}: tensor '{entry.Name}' should be in '{name}' but is not.");
            _byTensor[entry.Name] = shard;
        }
    }

    private SafetensorsFile Shard(string name)
    {
        if (!_shards.TryGetValue(name, out var shard))
            _shards.Add(name, shard = SafetensorsFile.Open(Path.Combine(FolderPath, name)));
        return shard;
    }
}
