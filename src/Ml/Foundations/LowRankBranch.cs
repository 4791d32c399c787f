using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Foundations;

/// <summary>What an adapter adds to a linear layer: scaling · B·A·x.</summary>
internal abstract class LowRankBranch
{
    /// <summary>[r, in] float32</summary>
    public abstract Tensor A { get; }

    /// <summary>[out, r] float32</summary>
    public abstract Tensor B { get; }

    public abstract double Scaling { get; }

    /// <summary>Whether some of its input is dropped.</summary>
    public abstract bool Drops { get; }

    /// <summary>The layer with the branch.</summary>
    /// <param name="input">[..., in]</param>
    /// <param name="output">[..., out]; what the layer alone gives, overwritten.</param>
    public abstract Tensor Add(Tensor input, Tensor output);
}
