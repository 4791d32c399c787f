using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Preferences;

/// <summary>
/// The loss of a reward model (Stiennon et al., arXiv:2009.01325; margins as in Llama 2, arXiv:2307.09288; centring as in Eisenstein
/// et al., arXiv:2312.09244), as TRL's RewardTrainer computes it; a tie counts as half a win for each.
/// </summary>
public static class PairwiseLoss
{
    /// <summary>mean(−w·log σ(d − m) − (1 − w)·log σ(−d − m)) + c·mean((r_1 + r_2)²) with d = r_1 − r_2.</summary>
    /// <param name="first">r_1. [B]</param>
    /// <param name="second">r_2. [B]</param>
    /// <param name="firstWins">w: 1, ½ or 0. [B]</param>
    /// <param name="margins">m; of a tie 0. [B]</param>
    /// <param name="centering">c</param>
    /// <returns>A scalar.</returns>
    public static Tensor Of(Tensor first, Tensor second, Tensor firstWins, Tensor margins, double centering)
    {
        using var scope = NewDisposeScope();
        var lead = first - second; // [B]
        var forFirst = nn.functional.logsigmoid(lead - margins) * firstWins;
        var forSecond = nn.functional.logsigmoid(-lead - margins) * (1 - firstWins);
        var loss = -(forFirst + forSecond).mean();
        if (centering > 0)
            loss = loss + (centering * (first + second).square().mean());
        return scope.MoveToOuter(loss);
    }
}
