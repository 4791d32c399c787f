using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Ppo;

/// <summary>Per-token rewards: each token pays for leaving the reference, the last one also earns the response's score.</summary>
public static class TokenRewards
{
    /// <summary>−β · penalty at every response token, plus the score at the last one; zero outside the responses.</summary>
    /// <param name="klPenalties">[B, R]</param>
    /// <param name="scores">[B]</param>
    /// <param name="isResponseToken">[B, R]; at least one per row.</param>
    /// <param name="klCoefficient">β of this step.</param>
    /// <returns>[B, R]</returns>
    public static Tensor Of(Tensor klPenalties, Tensor scores, Tensor isResponseToken, double klCoefficient)
    {
        var position = arange(1, isResponseToken.shape[1] + 1, device: isResponseToken.device); // [R]
        var last = (position * isResponseToken).argmax(1, keepdim: true); // [B, 1]
        var rewards = klPenalties * isResponseToken * -klCoefficient; // [B, R]
        return rewards.scatter_add(1, last, scores.unsqueeze(1));
    }
}
