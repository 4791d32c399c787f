using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Ppo;

/// <summary>
/// Generalised advantage estimation (Schulman et al., arXiv:1506.02438, eq. 16): A_t = Σ_k (γλ)^k δ_{t+k} with
/// δ_t = r_t + γ V_{t+1} − V_t. The state after a response's last token is terminal: its value is zero.
/// </summary>
/// <param name="Whitened">The advantages, whitened over all response tokens of the batch. [B, R]</param>
/// <param name="Returns">What the values should have been: advantages before whitening, plus values. [B, R]</param>
public sealed record Advantages(Tensor Whitened, Tensor Returns)
{
    /// <summary>Advantages and returns of a right-padded batch; padding has neither reward nor value.</summary>
    /// <param name="rewards">[B, R]</param>
    /// <param name="values">The value of the state before each token. [B, R]</param>
    /// <param name="isResponseToken">[B, R]</param>
    /// <param name="gamma">Discount γ.</param>
    /// <param name="lambda">λ.</param>
    /// <param name="whitenRewards">Whether rewards are first scaled to unit variance over the batch, keeping their mean.</param>
    public static Advantages Of(Tensor rewards, Tensor values, Tensor isResponseToken, double gamma, double lambda, bool whitenRewards)
    {
        values = values * isResponseToken; // [B, R]
        rewards = whitenRewards ? Masked.Whiten(rewards, isResponseToken, keepMean: true) : rewards * isResponseToken; // [B, R]

        var advantages = Estimate(rewards, values, gamma, lambda); // [B, R]
        return new(Masked.Whiten(advantages, isResponseToken, keepMean: false), advantages + values);
    }

    /// <summary>The recursion A_t = δ_t + γλ A_{t+1} from the last column back. All [B, R].</summary>
    private static Tensor Estimate(Tensor rewards, Tensor values, double gamma, double lambda)
    {
        var length = values.shape[1];
        var nextValues = cat([values.narrow(1, 1, length - 1), zeros_like(values.narrow(1, 0, 1))], 1); // [B, R]
        var errors = rewards + (nextValues * gamma) - values; // [B, R]
        var columns = errors.unbind(1); // R × [B]
        for (var t = length - 2; t >= 0; t--)
            columns[t] = columns[t].add(columns[t + 1], alpha: gamma * lambda); // [B]
        return stack(columns, 1);
    }
}
