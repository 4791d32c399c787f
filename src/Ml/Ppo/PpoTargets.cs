using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Ppo;

/// <summary>
/// What the rollout fixed and the epochs learn from, all [B, R]; the tensors belong to the dispose scope they were made in.
/// </summary>
/// <param name="LogProbs">log π_old of each sampled token.</param>
/// <param name="Values">V_old.</param>
/// <param name="Advantages">Whitened advantages.</param>
/// <param name="Returns">Targets of the values.</param>
/// <param name="IsResponseToken">The tokens that are learned from.</param>
public sealed record PpoTargets(Tensor LogProbs, Tensor Values, Tensor Advantages, Tensor Returns, Tensor IsResponseToken)
{
    /// <summary>The targets of some rows [b], cut to the first <paramref name="length"/> response tokens.</summary>
    public PpoTargets Rows(Tensor rows, long length)
    {
        return new(Pick(LogProbs), Pick(Values), Pick(Advantages), Pick(Returns), Pick(IsResponseToken));

        Tensor Pick(Tensor x) => x.narrow(1, 0, length).index_select(0, rows); // [b, length]
    }
}
