using RlhfFunctions.Contracts;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Learning;

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

/// <summary>Advantages of whole responses, each measured by the others of its prompt. Samples of a prompt stand together.</summary>
public static class GroupAdvantages
{
    private const double DeviationEpsilon = 1e-4;

    /// <summary>(r − mean of the group) / (deviation + 1e-4), the deviation as chosen and with n − 1 (Shao et al., arXiv:2402.03300, §4.1).</summary>
    public static double[] Relative(double[] scores, int groupSize, AdvantageScale scale)
    {
        var batch = Deviation(scores);
        return [.. scores.Chunk(groupSize).SelectMany(group =>
        {
            var (mean, divisor) = (group.Average(), scale switch
            {
                AdvantageScale.Group => Deviation(group) + DeviationEpsilon,
                AdvantageScale.Batch => batch + DeviationEpsilon,
                AdvantageScale.None => 1,
                _ => throw new ArgumentOutOfRangeException(nameof(scale), scale, "is no scale."),
            });
            return group.Select(score => (score - mean) / divisor);
        })];
    }

    /// <summary>r − mean of the group's other samples (Ahmadian et al., arXiv:2402.14740, eq. 8).</summary>
    public static double[] LeaveOneOut(double[] scores, int groupSize) =>
        [.. scores.Chunk(groupSize).SelectMany(group => group.Select(score => score - ((group.Sum() - score) / (group.Length - 1))))];

    /// <summary>(a − mean) / (deviation + 1e-4) over all samples.</summary>
    public static double[] Normalized(double[] advantages)
    {
        var (mean, deviation) = (advantages.Average(), Deviation(advantages));
        return Array.ConvertAll(advantages, advantage => (advantage - mean) / (deviation + DeviationEpsilon));
    }

    /// <summary>The groups whose scores are all equal: there is nothing to learn from them.</summary>
    public static int[] Equal(double[] scores, int groupSize) =>
        [.. scores.Chunk(groupSize).Select((group, i) => (group, i)).Where(item => item.group.All(score => score == item.group[0])).Select(item => item.i)];

    private static double Deviation(double[] x)
    {
        var mean = x.Average();
        return Math.Sqrt(x.Sum(value => (value - mean) * (value - mean)) / (x.Length - 1));
    }
}
