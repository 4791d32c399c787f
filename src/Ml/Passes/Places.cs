using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Passes;

/// <summary>Where rows of a batch stand in their sequences.</summary>
/// <param name="Positions">Of each row. int32</param>
/// <param name="Cosine">Of their rotations, repeating. [rows or T, D]</param>
/// <param name="SignedSine">[rows or T, D]</param>
internal sealed record Places(Tensor Positions, Tensor Cosine, Tensor SignedSine);
