using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Quantization;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Export;

/// <summary>
/// The weights of a model folder with an adapter added to them, one by one and in float32, from whatever types the files have: the peak
/// is a matrix, not the model.
/// </summary>
internal sealed class MergedWeights : IDisposable
{
    private const string KeyPrefix = "base_model.model.";

    private readonly HuggingFaceFolder _model;
    private readonly SafetensorsFile? _adapter;
    private readonly PeftAdapterFolder? _settings;

    private MergedWeights(string folder, LlamaConfig config, string? adapter)
    {
        Config = config;
        Weights = WeightInventory.Of(config).Weights;
        _model = HuggingFaceFolder.Open(folder);
        if (adapter is null)
            return;
        _settings = PeftAdapterFolder.Open(adapter);
        _adapter = SafetensorsFile.Open(Path.Combine(adapter, PeftAdapterFolder.WeightsFileName));
    }

    public LlamaConfig Config { get; }

    /// <summary>What the model consists of.</summary>
    public IReadOnlyList<WeightShape> Weights { get; }

    /// <summary>scaling · B·A is what the adapter adds.</summary>
    public double Scaling => _settings is null ? 0
        : _settings.Settings.Alpha / (_settings.Settings.RankStabilized ? Math.Sqrt(_settings.Settings.Rank) : _settings.Settings.Rank);

    /// <summary>Of the adapter.</summary>
    public int Rank => _settings?.Settings.Rank ?? 0;

    /// <param name="folder">A model folder.</param>
    /// <param name="adapter">A PEFT folder, or null.</param>
    /// <exception cref="InvalidDataException">A file is missing or damaged, or the adapter is none of this model.</exception>
    public static MergedWeights Open(string folder, string? adapter)
    {
        var weights = new MergedWeights(folder, LlamaConfig.Load(folder), adapter);
        try
        {
            weights.CheckAdapter();
            return weights;
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>One weight, merged. The caller owns it.</summary>
    /// <exception cref="InvalidDataException">The folder lacks it, or has it in another shape.</exception>
    public Tensor Load(WeightShape weight)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var merged = LoadBase(weight.Name);
        if (!merged.shape.SequenceEqual(weight.Shape))
            throw new InvalidDataException(
                $"{_model.FolderPath}: '{weight.Name}' is {Expect.Describe(merged.shape)}, but config.json asks for {Expect.Describe([.. weight.Shape])}.");
        if (Branch(weight.Name) is var (a, b))
            merged.add_(b.matmul(a).mul_(Scaling));
        return scope.MoveToOuter(merged);
    }

    /// <summary>A [r, in] and B [out, r] that the adapter has for a weight, for the caller to dispose; null: it has none.</summary>
    public (Tensor A, Tensor B)? Branch(string name)
    {
        var key = Key(name);
        return name.EndsWith(".weight", StringComparison.Ordinal) && _adapter?.Entries.ContainsKey($"{key}.lora_A.weight") == true
            ? (_adapter.Load($"{key}.lora_A.weight", ScalarType.Float32), _adapter.Load($"{key}.lora_B.weight", ScalarType.Float32))
            : null;
    }

    public void Dispose()
    {
        _model.Dispose();
        _adapter?.Dispose();
    }

    private static string Key(string weight) => KeyPrefix + weight[..weight.LastIndexOf('.')];

    private Tensor LoadBase(string name)
    {
        if (!BitsAndBytesTensors.IsQuantized(_model, name))
            return _model.Load(name, ScalarType.Float32);
        using var quantized = BitsAndBytesTensors.Read(_model, name);
        return quantized.Dequantize(ScalarType.Float32);
    }

    private void CheckAdapter()
    {
        if (_adapter is null)
            return;
        var shapes = Weights.Where(weight => weight.Shape.Count == 2 && weight.CanBeQuantized).SelectMany(weight => new (string Name, long[] Shape)[]
        {
            ($"{Key(weight.Name)}.lora_A.weight", [Rank, weight.Shape[1]]), ($"{Key(weight.Name)}.lora_B.weight", [weight.Shape[0], Rank]),
        }).ToDictionary(expected => expected.Name, expected => expected.Shape);
        var foreign = _adapter.Entries.Where(entry => !shapes.TryGetValue(entry.Key, out var shape) || !entry.Value.Shape.SequenceEqual(shape))
            .Select(entry => $"'{entry.Key}' {Expect.Describe([.. entry.Value.Shape])}").ToList();
        if (foreign.Count > 0)
            throw new InvalidDataException(
                $"{_settings!.FolderPath}: {string.Join(", ", foreign.Take(5))} belong to no layer of {_model.FolderPath}. Name the model the adapter was trained on.");
    }
}
