using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Rollout;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Learning;

/// <summary>
/// Direct preference optimisation (Rafailov et al., arXiv:2305.18290), numerically that of TRL 1.16. The samples are preferences: at an
/// even place the chosen response, behind it the rejected one.
/// </summary>
public sealed class Dpo(DpoSettings settings) : Algorithm(settings)
{
    /// <inheritdoc/>
    public override double KlCoefficient => settings.Beta;

    /// <summary>1: nothing was sampled.</summary>
    public override double Temperature => 1;

    /// <inheritdoc/>
    public override bool Samples => false;

    /// <summary>The loss of pairs.</summary>
    /// <param name="chosen">log π − log π_ref of the chosen response. [b]</param>
    /// <param name="rejected">The same of the rejected one. [b]</param>
    /// <param name="settings">β and what is made of the difference. For IPO the log-ratios must be means over tokens, else sums.</param>
    /// <returns>[b]</returns>
    public static Tensor Losses(Tensor chosen, Tensor rejected, DpoSettings settings)
    {
        var difference = chosen - rejected; // [b]
        var h = settings.Beta * difference; // [b]
        var smoothing = settings.LabelSmoothing;
        return settings.Loss switch
        {
            PreferenceLoss.Sigmoid =>
                ((-(1 - smoothing) * nn.functional.logsigmoid(h)) + (smoothing * nn.functional.logsigmoid(-h))) / (1 - (2 * smoothing)),
            PreferenceLoss.Ipo => (difference - (1 / (2 * settings.Beta))).square(),
            PreferenceLoss.Hinge => (1 - h).relu(),
            _ => throw new NotSupportedException($"{settings.Loss} is no loss of preferences."),
        };
    }

    /// <summary>The loss of a mini-batch, in whose rows chosen and rejected responses take turns.</summary>
    /// <param name="logProbs">log π_new of the responses' tokens. [2b, R]</param>
    /// <param name="entropy">Of each token's distribution. [2b, R]</param>
    /// <param name="referenceLogProbs">log π_ref. [2b, R]</param>
    /// <param name="isToken">[2b, R]</param>
    /// <param name="settings">β and the loss.</param>
    /// <param name="whole">What the mini-batch is a part of.</param>
    internal static Loss LossOf(
        Tensor logProbs, Tensor entropy, Tensor referenceLogProbs, Tensor isToken, DpoSettings settings, WholeStep whole)
    {
        var logRatio = ((logProbs - referenceLogProbs) * isToken).sum(1); // [2b]
        var (chosen, rejected) = Sides(settings.Loss == PreferenceLoss.Ipo ? logRatio / isToken.sum(1) : logRatio); // [b] each
        var total = Aggregate.Share(Losses(chosen, rejected, settings), whole); // []

        using var statistics = no_grad();
        var (chosenReward, rejectedReward) = Sides(settings.Beta * logRatio); // [b] each
        var (chosenLogProb, rejectedLogProb) = Sides((logProbs * isToken).sum(1)); // [b] each
        return Loss.Of(
            total, ratio: null, advantages: null, isToken,
            (MetricNames.PolicyLoss, total * whole.MiniBatches),
            (MetricNames.TotalLoss, total * whole.MiniBatches),
            (MetricNames.Entropy, Masked.Mean(entropy, isToken)),
            (MetricNames.ChosenReward, chosenReward.mean()),
            (MetricNames.RejectedReward, rejectedReward.mean()),
            (MetricNames.PreferenceAccuracy, chosenReward.gt(rejectedReward).to(float32).mean()),
            (MetricNames.PreferenceMargin, (chosenReward - rejectedReward).mean()),
            (MetricNames.ChosenLogProb, chosenLogProb.mean()),
            (MetricNames.RejectedLogProb, rejectedLogProb.mean()));

        static (Tensor Chosen, Tensor Rejected) Sides(Tensor x) // [2b] → [b] each
        {
            var pairs = x.view(-1, 2); // [b, 2]
            return (pairs.select(1, 0), pairs.select(1, 1));
        }
    }

    internal override Objective Prepare(RolloutTensors batch, IReadOnlyList<RolloutSample> samples, TrainingState state) => new(
        [.. Enumerable.Range(0, samples.Count).Chunk(2)],
        Scores: [],
        (scored, rows, whole) => LossOf(
            scored.LogProbs, scored.Entropy, Pick(batch.ReferenceLogProbs, rows, scored.Length), Pick(batch.IsResponseToken, rows, scored.Length),
            settings, whole))
    {
        Tokens = [.. samples.Select(sample => (long)sample.Response.Length)],
    };

    private static Tensor Pick(Tensor x, Tensor rows, long length) => x.narrow(1, 0, length).index_select(0, rows); // [2b, length]
}
