using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Policy;

/// <summary>What a policy says of given responses; the tensors belong to the dispose scope they were made in.</summary>
/// <param name="LogProbs">log π of each response token at the sampling temperature. [B, R]</param>
/// <param name="Values">The value of the state before each response token; null of a policy without a value head. [B, R]</param>
/// <param name="Entropy">Of the distribution each token is drawn from, in nats, without a gradient. [B, R]</param>
public sealed record TokenScores(Tensor LogProbs, Tensor? Values, Tensor Entropy);
