using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>What all layers of one forward pass share.</summary>
/// <param name="Cosine">[B or 1, T, 1, D]</param>
/// <param name="SignedSine">[B or 1, T, 1, D]</param>
/// <param name="Bias">Added to attention scores [B or 1, 1, T, S]; null: plain causal, or a single query that sees everything.</param>
/// <param name="Cache">Keys and values of earlier passes, or null.</param>
internal readonly record struct LlamaPass(Tensor Cosine, Tensor SignedSine, Tensor? Bias, KvCache? Cache);
