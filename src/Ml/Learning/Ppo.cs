using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Rollout;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Learning;

/// <summary>
/// Proximal policy optimisation with a value head (Schulman et al., arXiv:1707.06347) and the KL penalty in the rewards (Ziegler et al.,
/// arXiv:1909.08593), numerically that of TRL 0.11.
/// </summary>
public sealed class Ppo(PpoSettings settings, GenerationSettings generation) : Algorithm(settings)
{
    private const double EarlyStoppingFactor = 1.5;

    /// <inheritdoc/>
    public override double KlCoefficient => settings.KlCoefficient;

    /// <inheritdoc/>
    public override double Temperature => generation.Temperature;

    /// <inheritdoc/>
    public override bool HasValueHead => true;

    /// <inheritdoc/>
    public override KlPenalty? Penalty => settings.KlPenalty;

    /// <inheritdoc/>
    public override double LargestRatio => settings.RatioThreshold;

    internal override double ValueHeadLearningRate => settings.ValueHeadLearningRate ?? settings.LearningRate;

    internal override int ValueWarmupSteps => settings.ValueWarmupSteps;

    /// <summary>The loss of a mini-batch, every response token weighing the same; no entropy bonus.</summary>
    /// <param name="logProbs">log π_new of the sampled tokens. [b, R]</param>
    /// <param name="values">V_new. [b, R]</param>
    /// <param name="entropy">Of each token's distribution. [b, R]</param>
    /// <param name="targets">[b, R]</param>
    /// <param name="settings">Clip ranges and the value loss's weight.</param>
    /// <param name="whole">What the mini-batch is a part of.</param>
    internal static Loss LossOf(Tensor logProbs, Tensor values, Tensor entropy, PpoTargets targets, PpoSettings settings, WholeStep whole)
    {
        var isToken = targets.IsToken; // [b, R]

        var logRatio = logProbs - targets.LogProbs; // [b, R]
        var clipped = Clipped.Of(logRatio, targets.Advantages, settings.ClipRange, settings.ClipRange); // [b, R]
        var policyLoss = Masked.Mean(clipped.Losses, isToken); // []

        var low = targets.Values - settings.ValueClipRange; // [b, R]
        var high = targets.Values + settings.ValueClipRange; // [b, R]
        var freeErrors = (values - targets.Returns).square(); // [b, R]
        var clippedErrors = (minimum(maximum(values, low), high) - targets.Returns).square(); // [b, R]
        var valueLoss = 0.5 * Masked.Mean(maximum(freeErrors, clippedErrors), isToken); // []
        var totalLoss = policyLoss + (settings.ValueCoefficient * valueLoss); // []
        var share = totalLoss / whole.MiniBatches; // []

        using var statistics = no_grad();
        return Loss.Of(
            share, clipped.Ratio, targets.Advantages, isToken,
            (MetricNames.PolicyLoss, policyLoss),
            (MetricNames.ValueLoss, valueLoss),
            (MetricNames.TotalLoss, totalLoss),
            (MetricNames.Entropy, Masked.Mean(entropy, isToken)),
            (MetricNames.ApproximateKl, 0.5 * Masked.Mean(logRatio.square(), isToken)),
            (MetricNames.PolicyKl, -Masked.Mean(logRatio, isToken)),
            (MetricNames.ClipFraction, Masked.Mean(clipped.IsLow.logical_or(clipped.IsHigh), isToken)),
            (MetricNames.AdvantageMean, Masked.Mean(targets.Advantages, isToken)),
            (MetricNames.ReturnMean, Masked.Mean(targets.Returns, isToken)),
            (MetricNames.ReturnVariance, Masked.Variance(targets.Returns, isToken)),
            (MetricNames.ValuePrediction, Masked.Mean(values, isToken)),
            (MetricNames.ValueError, Masked.Mean(freeErrors, isToken)),
            (MetricNames.ValueClipFraction, Masked.Mean(clippedErrors.gt(freeErrors), isToken)),
            (MetricNames.ValueMean, Masked.Mean(targets.Values, isToken)),
            (MetricNames.ValueVariance, Masked.Variance(targets.Values, isToken)));
    }

    internal override Objective Prepare(RolloutTensors batch, IReadOnlyList<RolloutSample> samples, TrainingState state)
    {
        // scores: missing ends, scaling and clipping
        var (scores, moments) = Scores.Apply(Scores.Charged(samples, settings.MissingEosPenalty), state.ScoreMoments, settings);

        // rewards: the KL penalty at every token, the score at the last
        var column = tensor(scores, float32, batch.LogProbs.device); // [B]
        var rewards = TokenRewards.Of(batch.KlPenalties, column, batch.IsResponseToken, state.KlCoefficient); // [B, R]

        // advantages and returns
        var advantages = Advantages.Of(
            rewards, batch.Values, batch.IsResponseToken, settings.Gamma, settings.Lambda, settings.WhitenRewards);
        var targets = new PpoTargets(batch.LogProbs, batch.Values, advantages.Whitened, advantages.Returns, batch.IsResponseToken);

        return new(Objective.Singly(Enumerable.Range(0, samples.Count)), scores, (scored, rows, whole) =>
            LossOf(scored.LogProbs, scored.Values!, scored.Entropy, targets.Rows(rows, scored.Length), settings, whole))
        {
            Tokens = [.. samples.Select(sample => (long)sample.Response.Length)],
            ScoreMoments = moments,
            Metrics = new Dictionary<string, double>
            {
                [MetricNames.NonScoreReward] = -state.KlCoefficient * Masked.Mean(batch.KlPenalties, batch.IsResponseToken).item<float>(),
            },
        };
    }

    internal override bool IsFarEnough(IReadOnlyDictionary<string, double> metrics) =>
        settings.EarlyStopping && metrics[MetricNames.PolicyKl] > EarlyStoppingFactor * settings.TargetPolicyKl;

    internal override double NextKlCoefficient(double coefficient, double sequenceKl, int samples) =>
        AdaptiveKl.Next(coefficient, sequenceKl, samples, settings);
}

/// <summary>
/// What the rollout fixed and PPO's epochs learn from, all [B, R]; the tensors belong to the dispose scope they were made in.
/// </summary>
/// <param name="LogProbs">log π_old of each sampled token.</param>
/// <param name="Values">V_old.</param>
/// <param name="Advantages">Whitened advantages.</param>
/// <param name="Returns">Targets of the values.</param>
/// <param name="IsToken">The tokens that are learned from.</param>
public sealed record PpoTargets(Tensor LogProbs, Tensor Values, Tensor Advantages, Tensor Returns, Tensor IsToken)
{
    /// <summary>The targets of some rows [b], cut to the first <paramref name="length"/> response tokens.</summary>
    public PpoTargets Rows(Tensor rows, long length)
    {
        return new(Pick(LogProbs), Pick(Values), Pick(Advantages), Pick(Returns), Pick(IsToken));

        Tensor Pick(Tensor x) => x.narrow(1, 0, length).index_select(0, rows); // [b, length]
    }
}

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

/// <summary>The adaptive KL coefficient of Ziegler et al. (arXiv:1909.08593, §2.2).</summary>
public static class AdaptiveKl
{
    private const double LargestError = 0.2;

    /// <summary>β · (1 + clip(KL / target − 1, ±0.2) · samples / horizon); β itself where it is fixed.</summary>
    /// <param name="coefficient">β of the step that was taken.</param>
    /// <param name="sequenceKl">That step's KL from the reference, summed over a response, mean over the samples.</param>
    /// <param name="samples">Samples in the step.</param>
    /// <param name="settings">Target and horizon.</param>
    public static double Next(double coefficient, double sequenceKl, int samples, PpoSettings settings)
    {
        if (!settings.AdaptiveKl)
            return coefficient;
        var error = Math.Clamp((sequenceKl / settings.TargetKl) - 1, -LargestError, LargestError);
        return coefficient * (1 + (error * samples / settings.KlHorizon));
    }
}
