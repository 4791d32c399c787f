using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Models;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Lora;

/// <summary>
/// The trainable part of a policy: low-rank branches on some linear layers of a frozen model. Switched off, the model computes
/// the reference bit for bit; disposed, it is the plain model again.
/// </summary>
public sealed class LoraAdapter : IDisposable
{
    private const string KeyPrefix = "base_model.model.";

    private readonly List<LoraLinear> _branches;
    private Generator _dropout;
    private bool _isEnabled;
    private bool _isTraining;

    private LoraAdapter(LlamaForCausalLm model, LoraSettings settings, List<LoraLinear> branches, ulong seed)
    {
        (Model, Settings, _branches) = (model, settings, branches);
        Parameters = [.. branches.SelectMany(b => new[]
        {
            ($"{KeyPrefix}{b.Name}.lora_A.weight", b.A), ($"{KeyPrefix}{b.Name}.lora_B.weight", b.B),
        })];
        _dropout = new Generator(Seeds.Derive(seed, "lora dropout"), model.Device);
        Enabled = true;
    }

    public LlamaForCausalLm Model { get; }

    public LoraSettings Settings { get; }

    /// <summary>What is trained, in float32, sorted by layer name, A [r, in] before B [out, r]; named as PEFT's files name it.</summary>
    public IReadOnlyList<(string Name, Parameter Parameter)> Parameters { get; }

    /// <summary>Whether the branches act. While merged they never do: they are in the weights.</summary>
    public bool Enabled
    {
        get => _isEnabled;
        set
        {
            _isEnabled = value;
            foreach (var branch in _branches)
                branch.Layer.Adapter = !value || IsMerged ? null : branch;
        }
    }

    /// <summary>Whether the branches' input is dropped out. Never in rollouts: what is sampled must be what is scored.</summary>
    public bool Training
    {
        get => _isTraining;
        set
        {
            _isTraining = value;
            foreach (var branch in _branches)
                branch.Dropout = value ? (Settings.Dropout, _dropout) : null;
        }
    }

    public bool IsMerged { get; private set; }

    /// <summary>Puts fresh branches on a model and freezes everything else. The same seed gives the same branches.</summary>
    /// <exception cref="ArgumentException">A target module does not exist in the model.</exception>
    /// <exception cref="InvalidOperationException">The model has an adapter already.</exception>
    public static LoraAdapter Attach(LlamaForCausalLm model, LoraSettings settings, ulong seed)
    {
        Expect.InRange(settings.Rank, 1, int.MaxValue);
        Expect.InRange(settings.Dropout, 0, 0.999);
        var projections = model.Projections();
        if (projections.Any(p => p.Layer.Adapter is not null))
            throw new InvalidOperationException("The model has an adapter already: dispose it first.");
        var targets = LoraTargets.Resolve([.. projections.Select(p => p.Name)], settings.TargetModules);
        foreach (var parameter in model.parameters())
            parameter.requires_grad = false;
        var branches = projections.Where(p => LoraTargets.Include(targets, p.Name))
            .Select(p => new LoraLinear(p.Name, p.Layer, settings, seed, model.Device)).ToList();
        return new LoraAdapter(model, settings with { TargetModules = targets }, branches, seed);
    }

    /// <summary>Decides what dropout drops from here on.</summary>
    public void SeedDropout(ulong seed)
    {
        _dropout.Dispose();
        _dropout = new Generator(seed, Model.Device);
        Training = _isTraining;
    }

    /// <summary>adapter_model.safetensors as PEFT writes it.</summary>
    public byte[] ToSafetensors() => SafetensorsFile.Write(
        Parameters.ToDictionary(p => p.Name, p => (Tensor)p.Parameter), SafetensorsFile.PyTorchMetadata);

    /// <summary>Takes over the weights of a file that <see cref="ToSafetensors"/> or PEFT wrote for the same settings.</summary>
    /// <exception cref="InvalidDataException">It lacks a weight, has others, or in other shapes; then nothing was changed.</exception>
    public void Load(SafetensorsFile file)
    {
        var expected = Parameters.ToDictionary(p => p.Name, p => p.Parameter.shape);
        var problems = expected.Where(e => !file.Entries.ContainsKey(e.Key)).Select(e => $"'{e.Key}' is missing")
            .Concat(file.Entries.Where(e => !expected.ContainsKey(e.Key)).Select(e => $"'{e.Key}' belongs to no layer of this adapter"))
            .Concat(file.Entries.Where(e => expected.TryGetValue(e.Key, out var shape) && !e.Value.Shape.SequenceEqual(shape))
                .Select(e => $"'{e.Key}' is {Expect.Describe([.. e.Value.Shape])}, expected {Expect.Describe(expected[e.Key])}"))
            .ToList();
        if (problems.Count > 0)
            throw new InvalidDataException(
                $"The adapter's weights do not fit the model and its settings: {string.Join("; ", problems.Take(10))}.");
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        foreach (var (name, parameter) in Parameters)
            parameter.copy_(file.Load(name));
    }

    /// <summary>Adds the branches to the weights, B·A computed in float32; the model then needs no adapter.</summary>
    /// <exception cref="NotSupportedException">The weights are bfloat16 or 4-bit, or other models have the same.</exception>
    public void Merge() => Merge(isMerged: true);

    /// <summary>Takes the branches off the weights again, up to rounding.</summary>
    public void Unmerge() => Merge(isMerged: false);

    /// <summary>Takes the branches off the model; a merged model keeps them in its weights.</summary>
    public void Dispose()
    {
        foreach (var branch in _branches)
        {
            branch.Layer.Adapter = null;
            branch.Dispose();
        }
        _dropout.Dispose();
    }

    private void Merge(bool isMerged)
    {
        if (IsMerged == isMerged)
            throw new InvalidOperationException(isMerged ? "The adapter is merged already." : "The adapter is not merged.");
        if (Model.SharesWeights)
            throw new NotSupportedException("Other models compute with the same weights: load the model once more to merge an adapter into it.");
        foreach (var branch in _branches)
            if (branch.Layer is not DenseLinear { Weight.dtype: ScalarType.Float32 or ScalarType.Float16 })
                throw new NotSupportedException(
                    "An adapter is merged into float32 or float16 weights: rounding to bfloat16 or 4 bits would swallow most of it. "
                    + "Load the base in one of them, or serve the adapter unmerged.");
        foreach (var branch in _branches)
            branch.MergeInto(((DenseLinear)branch.Layer).Weight, isMerged ? 1 : -1);
        IsMerged = isMerged;
        Enabled = _isEnabled;
    }
}
