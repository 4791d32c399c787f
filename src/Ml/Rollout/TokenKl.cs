using RlhfFunctions.Contracts;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Rollout;

/// <summary>How far each sampled token has left the reference, by the estimator the run chose.</summary>
public static class TokenKl
{
    /// <summary>Kl: d, Abs: |d|, Mse: d²/2, where d = log π − log π_ref of the sampled token.</summary>
    public static float Penalty(float d, KlPenalty kind) => kind switch
    {
        KlPenalty.Kl => d,
        KlPenalty.Abs => Math.Abs(d),
        KlPenalty.Mse => 0.5f * d * d,
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "needs the whole distribution: use Exact."),
    };

    /// <summary>k3 = exp(−d) − 1 + d: unbiased and never negative (Schulman, "Approximating KL divergence"). All [B, R].</summary>
    public static Tensor Estimator3(Tensor logProbs, Tensor referenceLogProbs)
    {
        var d = logProbs - referenceLogProbs; // [B, R]
        return (-d).exp() - 1 + d;
    }

    /// <summary>KlPenalty.Full: Σ_v π (log π − log π_ref). Log-softmaxes [B, R, V] → [B, R].</summary>
    public static Tensor Exact(Tensor logDistribution, Tensor referenceLogDistribution) =>
        (logDistribution.exp() * (logDistribution - referenceLogDistribution)).sum(-1);
}
