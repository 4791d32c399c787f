using System.Diagnostics;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Rollout;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Ppo;

/// <summary>
/// One PPO step on a batch of rollouts (Schulman et al., arXiv:1707.06347; Ziegler et al., arXiv:1909.08593), numerically that of
/// TRL 0.11's PPOTrainer.step. Deliberately different from it:
/// gradients are clipped at every optimizer step (there only at a trainer's first); a mini-batch whose ratio exploded or whose
/// loss or gradient is not finite is skipped (there its zeroed loss still moves weights by Adam's momentum); reward whitening
/// does not leak out of the padding; the learning rate may fall linearly, and the value head may have its own and learn alone first.
/// </summary>
public static class PpoUpdate
{
    private const double EarlyStoppingFactor = 1.5;

    /// <summary>The order in which each epoch of a step visits the samples.</summary>
    public static Func<int, int[]> EpochOrder(ulong runSeed, int step, int samples) =>
        epoch => Seeds.Permutation(Seeds.Derive(runSeed, "order", step, epoch), samples);

    /// <summary>Improves the policy on a batch it sampled, and takes the training state one step further.</summary>
    /// <param name="policy">Changed in place.</param>
    /// <param name="state">Changed in place.</param>
    /// <param name="samples">The step's rollouts, all shards together.</param>
    /// <param name="settings">The numbers of PPO.</param>
    /// <param name="temperature">The temperature that was sampled with.</param>
    /// <param name="epochOrder">Epoch → a permutation of the samples.</param>
    /// <param name="cancellationToken">Looked at between mini-batches; a step that is cancelled or fails leaves policy and state half-way, without gradients.</param>
    public static PpoStats Run(
        PolicyWithValue policy, TrainingState state, IReadOnlyList<RolloutSample> samples, PpoSettings settings, double temperature,
        Func<int, int[]> epochOrder, CancellationToken cancellationToken)
    {
        using var stage = Stage.Begin("update");
        using var scope = NewDisposeScope();
        var clock = Stopwatch.StartNew();
        var batch = RolloutTensors.Of(samples, policy.Device);

        // 1. scores: missing ends, scaling and clipping
        var (scores, moments) = ScoreScaling.Apply(ScoreScaling.Charged(samples, settings), state.ScoreMoments, settings);
        state.ScoreMoments = moments;

        // 2. rewards: the KL penalty at every token, the score at the last
        var scoreColumn = tensor(scores, float32, policy.Device); // [B]
        var rewards = TokenRewards.Of(batch.KlPenalties, scoreColumn, batch.IsResponseToken, state.KlCoefficient); // [B, R]

        // 3. advantages and returns, once for all epochs
        var advantages = Advantages.Of(
            rewards, batch.Values, batch.IsResponseToken, settings.Gamma, settings.Lambda, settings.WhitenRewards);
        var targets = new PpoTargets(batch.LogProbs, batch.Values, advantages.Whitened, advantages.Returns, batch.IsResponseToken);

        // 4. epochs of mini-batches
        var log = new MiniBatchLog();
        var learningRates = LearningRates(policy, state, settings);
        using var frozen = state.Step < settings.ValueWarmupSteps ? policy.WithAdapterFrozen() : null;
        if (state.Step == settings.ValueWarmupSteps)
            state.Optimizer.Restart(); // or the warm-up's step count would belie the adapter's moments
        try
        {
            for (var epoch = 0; epoch < settings.Epochs; epoch++)
            {
                using var pass = Stage.Begin("epoch");
                foreach (var rows in epochOrder(epoch).Chunk(settings.MiniBatchSize * settings.GradientAccumulationSteps))
                    Descend(policy, state, samples, targets, rows, settings, temperature, learningRates, log, cancellationToken);
                if (settings.EarlyStopping && log.LastPolicyKl > EarlyStoppingFactor * settings.TargetPolicyKl)
                    break;
            }
        }
        catch
        {
            state.Optimizer.ClearGradients(); // or the policy's next update would begin with them
            throw;
        }

        // 5. statistics, with the coefficient that was used
        var stats = PpoStats.Of(samples, scores, batch, log, state.KlCoefficient, learningRates[0], clock.Elapsed);

        // 6. the KL coefficient of the next step
        if (stats.Metrics.TryGetValue(MetricNames.Kl, out var sequenceKl)) // absent when not finite
            state.KlCoefficient = KlController.Next(state.KlCoefficient, sequenceKl, samples.Count, settings);

        // 7. whether the run has gone too far
        state.FirstResponseLength ??= stats.Metrics[MetricNames.ResponseLengthMean];
        var alarm = StepAlarm.Find(state.Step, stats.Metrics, log.LargestRatio, state.FirstResponseLength.Value, settings.Alarms);
        state.Step++;
        return stats with { Alarm = alarm };
    }

    /// <summary>One optimizer step: the mean gradient of the mini-batches among <paramref name="rows"/>.</summary>
    private static void Descend(
        PolicyWithValue policy, TrainingState state, IReadOnlyList<RolloutSample> samples, PpoTargets targets, int[] rows,
        PpoSettings settings, double temperature, double[] learningRates, MiniBatchLog log, CancellationToken cancellationToken)
    {
        var contributions = 0;
        foreach (var miniBatch in rows.Chunk(settings.MiniBatchSize))
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            using var scored = MiniBatch.Score(policy, samples, miniBatch, temperature);
            var rowIds = tensor(Array.ConvertAll(scored.Rows, row => (long)row), device: policy.Device); // [b]
            var old = targets.Rows(rowIds, scored.Length); // [b, R]

            var loss = PpoLoss.Of(scored.LogProbs, scored.Values, old, settings);
            if (!log.Add(loss, scored, old, settings.RatioThreshold))
                continue;
            (loss.Total / settings.GradientAccumulationSteps).backward();
            scored.Backward();
            contributions++;
        }
        if (contributions > 0 && !state.Optimizer.Step(learningRates, settings.MaxGradientNorm))
            log.Skipped += contributions;
    }

    private static double[] LearningRates(PolicyWithValue policy, TrainingState state, PpoSettings settings)
    {
        var share = LearningRate.Share(state.Step, settings);
        var valueHeadRate = settings.ValueHeadLearningRate ?? settings.LearningRate;
        return [.. policy.Parameters.Select(named =>
            share * (named.Key is ValueHead.WeightName or ValueHead.BiasName ? valueHeadRate : settings.LearningRate))];
    }
}
