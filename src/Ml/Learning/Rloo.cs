using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Rollout;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Learning;

/// <summary>
/// REINFORCE, leave one out (Ahmadian et al., arXiv:2402.14740): a response is one action, and the mean of its prompt's other responses
/// the baseline. The KL is charged in the reward. Numerically that of TRL 1.16.
/// </summary>
public sealed class Rloo(RlooSettings settings, GenerationSettings generation) : Algorithm(settings)
{
    /// <inheritdoc/>
    public override double KlCoefficient => settings.KlCoefficient;

    /// <inheritdoc/>
    public override double Temperature => generation.Temperature;

    /// <inheritdoc/>
    public override KlPenalty? Penalty => settings.KlCoefficient == 0 ? null : KlPenalty.Kl;

    /// <inheritdoc/>
    public override double LargestRatio => settings.RatioThreshold;

    /// <summary>The loss of a mini-batch: the clipped objective of whole responses, ρ = exp(Σ log-ratio).</summary>
    /// <param name="logProbs">log π_new of the sampled tokens. [b, R]</param>
    /// <param name="entropy">Of each token's distribution. [b, R]</param>
    /// <param name="targets">[b, R], the advantages [b, 1]</param>
    /// <param name="settings">Clip range.</param>
    /// <param name="whole">What the mini-batch is a part of.</param>
    internal static Loss LossOf(Tensor logProbs, Tensor entropy, GroupTargets targets, RlooSettings settings, WholeStep whole)
    {
        var isToken = targets.IsToken; // [b, R]
        var logRatio = ((logProbs - targets.LogProbs) * isToken).sum(1, keepdim: true); // [b, 1]
        var clipped = Clipped.Of(logRatio, targets.Advantages, settings.ClipRange, settings.ClipRangeHigh ?? settings.ClipRange);
        var total = Aggregate.Share(clipped.Losses.squeeze(1), whole); // []

        using var statistics = no_grad();
        var isResponse = ones_like(logRatio).to(ScalarType.Bool); // [b, 1]: each response weighs the same
        return Loss.Of(
            total, clipped.Ratio, targets.Advantages, isResponse,
            [
                (MetricNames.PolicyLoss, total * whole.MiniBatches),
                (MetricNames.TotalLoss, total * whole.MiniBatches),
                (MetricNames.Entropy, Masked.Mean(entropy, isToken)),
                .. clipped.Metrics(isResponse),
            ]);
    }

    internal override Objective Prepare(RolloutTensors batch, IReadOnlyList<RolloutSample> samples, TrainingState state)
    {
        // rewards: scores, less missing ends and the KL summed over the response
        var kl = (batch.KlPenalties * batch.IsResponseToken).sum(1).cpu().data<float>().ToArray(); // [B]
        double[] rewards = [.. Scores.Charged(samples, settings.MissingEosPenalty).Zip(kl, (score, d) => score - (settings.KlCoefficient * d))];

        // advantages: less the mean of the prompt's other samples
        var advantages = GroupAdvantages.LeaveOneOut(rewards, settings.GroupSize);
        var targets = GroupTargets.Of(batch, settings.NormalizeAdvantages ? GroupAdvantages.Normalized(advantages) : advantages);

        return new(Objective.Singly(Enumerable.Range(0, samples.Count)), rewards, (scored, rows, whole) =>
            LossOf(scored.LogProbs, scored.Entropy, targets.Rows(rows, scored.Length), settings, whole))
        {
            Tokens = [.. samples.Select(sample => (long)sample.Response.Length)],
            Metrics = new Dictionary<string, double>
            {
                [MetricNames.NonScoreReward] = -settings.KlCoefficient * kl.Average(),
            },
        };
    }
}
