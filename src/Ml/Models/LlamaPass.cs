using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>What all layers of one forward pass share.</summary>
/// <param name="Cosine">[B or 1, T, 1, D]</param>
/// <param name="SignedSine">[B or 1, T, 1, D]</param>
/// <param name="Bias">Added to attention scores [B or 1, 1, T, S]; null: plain causal, or a single query that sees everything.</param>
/// <param name="Cache">Keys and values of earlier passes, or null.</param>
internal readonly record struct LlamaPass(Tensor Cosine, Tensor SignedSine, Tensor? Bias, KvCache? Cache);

/// <summary>The positions that the last block is asked for.</summary>
/// <param name="Places">In the flattened [B · T]. [B · R]</param>
/// <param name="Rotations">Cosines and signed sines of their positions, [B, R, 1, D] each.</param>
/// <param name="Bias">What each of them sees. [B, 1, R, T]</param>
internal readonly record struct LlamaQueries(Tensor Places, (Tensor Cosine, Tensor SignedSine) Rotations, Tensor Bias)
{
    /// <summary>[B, T, H] → [B, R, H]</summary>
    public Tensor Of(Tensor x) => x.flatten(0, 1).index_select(0, Places).view(x.shape[0], -1, x.shape[2]);
}
