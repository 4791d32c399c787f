using RlhfFunctions.Contracts;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Learning;

/// <summary>What a mini-batch is a part of.</summary>
/// <param name="Units">Samples, or pairs, whose gradients make one optimizer step.</param>
/// <param name="Tokens">Tokens among them that are learned from.</param>
/// <param name="MiniBatches">The mini-batches they are cut into.</param>
public sealed record WholeStep(int Units, long Tokens, int MiniBatches);

/// <summary>Moments over the true positions of a mask, and losses of tokens as one number.</summary>
public static class Aggregate
{
    /// <summary>
    /// A mini-batch's share of the loss of an optimizer step: the shares of its mini-batches add up to the loss. But for
    /// <see cref="LossReduction.Bnpo"/>, which by definition averages the mini-batches' own means, the sum does not depend on how the step
    /// is cut.
    /// </summary>
    /// <param name="losses">Of each token. [b, R]</param>
    /// <param name="isToken">Which of them count. [b, R]</param>
    /// <param name="reduction">How they become one.</param>
    /// <param name="whole">What the mini-batch is a part of.</param>
    /// <param name="longest">Tokens that a response may have.</param>
    public static Tensor Share(Tensor losses, Tensor isToken, LossReduction reduction, WholeStep whole, int longest)
    {
        var sums = (losses * isToken).sum(1); // [b]
        return reduction switch
        {
            LossReduction.Grpo => (sums / isToken.sum(1).clamp(min: 1)).sum() / whole.Units,
            LossReduction.Bnpo => sums.sum() / isToken.sum().clamp(min: 1) / whole.MiniBatches,
            LossReduction.DrGrpo => sums.sum() / ((double)whole.Units * longest),
            LossReduction.Dapo => sums.sum() / Math.Max(1, whole.Tokens),
            _ => throw new ArgumentOutOfRangeException(nameof(reduction), reduction, "is no reduction."),
        };
    }

    /// <summary>Likewise of one number a sample or a pair: the mean over them. [b] → scalar</summary>
    public static Tensor Share(Tensor losses, WholeStep whole) => losses.sum() / whole.Units;
}
