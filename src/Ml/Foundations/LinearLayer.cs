using TorchSharp.Modules;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Foundations;

/// <summary>
/// y = x·Wᵀ + b, however W is held in memory. An adapter hooks in here, so the layers that use a projection, and the names of
/// its weights, are the same with and without one.
/// </summary>
public abstract class LinearLayer(long inFeatures, long outFeatures) : nn.Module<Tensor, Tensor>(nameof(LinearLayer))
{
    public long InFeatures { get; } = inFeatures;

    public long OutFeatures { get; } = outFeatures;

    /// <summary>The weight as fused loops on a CPU read it; null where they cannot.</summary>
    internal abstract WeightRows? Rows { get; }

    /// <summary>[out] or null</summary>
    internal abstract Parameter? Bias { get; }

    /// <summary>What is added to the layer; null: the layer alone, without an extra operation.</summary>
    internal LowRankBranch? Adapter { get; set; }

    /// <param name="input">[..., in]</param>
    /// <returns>[..., out], of the input's type.</returns>
    public sealed override Tensor forward(Tensor input)
    {
        var output = Multiply(input);
        return Adapter is null ? output : Adapter.Add(input, output);
    }

    /// <summary>The layer without its adapter; the result is a tensor of its own.</summary>
    protected internal abstract Tensor Multiply(Tensor input);

    /// <summary>Whether the weight never has a gradient.</summary>
    internal abstract bool IsFrozen { get; }

    /// <summary>The way back through <see cref="Multiply"/>: dy·W. [..., out] → [..., in], a tensor of its own.</summary>
    internal abstract Tensor InputGradient(Tensor gradient);
}
