using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;

namespace RlhfFunctions.Ml.Policy;

/// <summary>How many numbers a policy holds, told from configurations alone.</summary>
/// <param name="Base">The frozen base model.</param>
/// <param name="PackedBase">The same as PyTorch counts it in 4 bits: two packed weights are one byte.</param>
/// <param name="Adapter">The trained low-rank branches.</param>
/// <param name="ValueHead">The trained critic.</param>
public sealed record PolicyCounts(long Base, long PackedBase, long Adapter, long ValueHead)
{
    // A parameter in float32, its gradient, and Adam's two moments.
    private const int BytesPerTrained = 4 * sizeof(float);

    /// <summary>What the update changes.</summary>
    public long Trained => Adapter + ValueHead;

    /// <summary>What training holds in memory beside the base: all of it in float32.</summary>
    public long TrainedBytes => Trained * BytesPerTrained;

    /// <summary>Counts a base with an adapter and a value head on it.</summary>
    /// <param name="config">The base model.</param>
    /// <param name="lora">Rank and targets.</param>
    /// <exception cref="ArgumentException">A target module does not exist in the model.</exception>
    public static PolicyCounts Of(LlamaConfig config, LoraSettings lora)
    {
        const string suffix = ".weight";
        var weights = WeightInventory.Of(config);
        var projections = weights.Weights.Where(w => w.CanBeQuantized).ToDictionary(w => w.Name[..^suffix.Length], w => w.Shape);
        var targets = LoraTargets.Resolve([.. projections.Keys], lora.TargetModules);
        var adapted = projections.Where(p => LoraTargets.Include(targets, p.Key)).Select(p => p.Value); // [out, in] each
        var adapter = adapted.Sum(shape => lora.Rank * shape.Sum()); // A [r, in] and B [out, r]
        return new(weights.Count, weights.PackedCount, adapter, ValueHead: config.HiddenSize + 1);
    }
}
