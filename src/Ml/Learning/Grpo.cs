using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Rollout;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Learning;

/// <summary>
/// Group relative policy optimisation (Shao et al., arXiv:2402.03300) and what became of it: Dr. GRPO (arXiv:2503.20783), DAPO
/// (arXiv:2503.14476) and GSPO (arXiv:2507.18071), numerically that of TRL 1.16.
/// </summary>
public sealed class Grpo(GrpoSettings settings, GenerationSettings generation) : Algorithm(settings)
{
    /// <inheritdoc/>
    public override double KlCoefficient => settings.KlCoefficient;

    /// <inheritdoc/>
    public override double Temperature => generation.Temperature;

    /// <inheritdoc/>
    public override KlPenalty? Penalty => settings.KlCoefficient == 0 ? null : KlPenalty.Kl;

    /// <inheritdoc/>
    public override double LargestRatio => settings.RatioThreshold;

    /// <summary>The loss of a mini-batch.</summary>
    /// <param name="logProbs">log π_new of the sampled tokens. [b, R]</param>
    /// <param name="entropy">Of each token's distribution. [b, R]</param>
    /// <param name="targets">[b, R], the advantages [b, 1]</param>
    /// <param name="settings">Clip range, level of the ratio, reduction, β.</param>
    /// <param name="whole">What the mini-batch is a part of.</param>
    /// <param name="longest">Tokens that a response may have.</param>
    internal static Loss LossOf(Tensor logProbs, Tensor entropy, GroupTargets targets, GrpoSettings settings, WholeStep whole, int longest)
    {
        var isToken = targets.IsToken; // [b, R]
        var logRatio = Clipped.LogRatio(logProbs - targets.LogProbs, isToken, settings.Ratio); // [b, R] or [b, 1]
        var clipped = Clipped.Of(
            logRatio, targets.Advantages, settings.ClipRange, settings.ClipRangeHigh ?? settings.ClipRange, settings.RatioCap);
        var policyLoss = Aggregate.Share(clipped.Losses, isToken, settings.Loss, whole, longest); // []

        // ρ · k3: the samples are the old policy's, and only so weighted is the gradient that of the new one's KL (DeepSeek-V3.2, §3.1)
        var kl = TokenKl.Estimator3(logProbs, targets.ReferenceLogProbs) * clipped.Ratio; // [b, R]
        var total = settings.KlCoefficient == 0
            ? policyLoss
            : policyLoss + (settings.KlCoefficient * Aggregate.Share(kl, isToken, settings.Loss, whole, longest)); // []

        using var statistics = no_grad();
        (string, Tensor)[] metrics =
        [
            (MetricNames.PolicyLoss, policyLoss * whole.MiniBatches),
            (MetricNames.TotalLoss, total * whole.MiniBatches),
            (MetricNames.Entropy, Masked.Mean(entropy, isToken)),
            .. clipped.Metrics(isToken),
        ];
        return Loss.Of(
            total, clipped.Ratio, targets.Advantages, isToken,
            settings.KlCoefficient == 0 ? metrics : [.. metrics, (MetricNames.TokenKl, Masked.Mean(kl, isToken))]);
    }

    internal override Objective Prepare(RolloutTensors batch, IReadOnlyList<RolloutSample> samples, TrainingState state)
    {
        // scores: missing ends and overlong responses
        var scores = Scores.Charged(samples, settings.MissingEosPenalty);
        if (settings.OverlongBuffer is { } buffer)
            scores = [.. scores.Zip(samples, (score, sample) =>
                score - Scores.Overlong(sample.Response.Length, generation.MaxNewTokens, buffer, settings.OverlongPenalty))];

        // advantages of whole responses, within their groups
        var advantages = GroupAdvantages.Relative(scores, settings.GroupSize, settings.ScaleRewards);
        var equal = GroupAdvantages.Equal(scores, settings.GroupSize);
        var rows = Enumerable.Range(0, samples.Count)
            .Where(row => !settings.DropEqualGroups || !equal.Contains(row / settings.GroupSize));

        // the tokens that are learned from
        var counts = samples.Select(sample => !settings.MaskTruncated || sample.HasEnded).ToArray();
        var targets = GroupTargets.Of(batch, advantages) with
        {
            IsToken = batch.IsResponseToken.logical_and(tensor(counts, device: batch.LogProbs.device).unsqueeze(1)),
        };

        return new(Objective.Singly(rows), scores, (scored, ids, whole) =>
            LossOf(scored.LogProbs, scored.Entropy, targets.Rows(ids, scored.Length), settings, whole, generation.MaxNewTokens))
        {
            Tokens = [.. samples.Select((sample, i) => counts[i] ? (long)sample.Response.Length : 0)],
            Metrics = new Dictionary<string, double>
            {
                [MetricNames.EqualGroups] = equal.Length * (double)settings.GroupSize / samples.Count,
            },
        };
    }
}

/// <summary>What the rollout fixed and GRPO's and RLOO's epochs learn from; the tensors belong to the dispose scope they were made in.</summary>
/// <param name="LogProbs">log π_old of each sampled token. [B, R]</param>
/// <param name="ReferenceLogProbs">log π_ref of the same; zeros where nobody asked. [B, R]</param>
/// <param name="Advantages">Of each response. [B, 1]</param>
/// <param name="IsToken">The tokens that are learned from. [B, R]</param>
public sealed record GroupTargets(Tensor LogProbs, Tensor ReferenceLogProbs, Tensor Advantages, Tensor IsToken)
{
    /// <summary>Of some rollouts, all of whose tokens are learned from.</summary>
    public static GroupTargets Of(RolloutTensors batch, double[] advantages) => new(
        batch.LogProbs, batch.ReferenceLogProbs, tensor(advantages, float32, batch.LogProbs.device).unsqueeze(1), batch.IsResponseToken);

    /// <summary>The targets of some rows [b], cut to the first <paramref name="length"/> response tokens.</summary>
    public GroupTargets Rows(Tensor rows, long length)
    {
        return new(Pick(LogProbs), Pick(ReferenceLogProbs), Advantages.index_select(0, rows), Pick(IsToken));

        Tensor Pick(Tensor x) => x.narrow(1, 0, length).index_select(0, rows); // [b, length]
    }
}
