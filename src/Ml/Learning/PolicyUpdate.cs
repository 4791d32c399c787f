using System.Diagnostics;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Rollout;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Learning;

/// <summary>
/// One step of learning on a batch of samples, by whatever algorithm; with <see cref="Ppo"/> numerically that of TRL 0.11's
/// PPOTrainer.step. Deliberately different from it:
/// gradients are clipped at every optimizer step (there only at a trainer's first); a mini-batch whose ratio exploded or whose
/// loss or gradient is not finite is skipped (there its zeroed loss still moves weights by Adam's momentum); reward whitening
/// does not leak out of the padding; the learning rate may fall linearly, and the value head may have its own and learn alone first.
/// </summary>
public static class PolicyUpdate
{
    /// <summary>The order in which each epoch of a step visits what it learns from.</summary>
    public static Func<int, int, int[]> EpochOrder(ulong runSeed, int step) =>
        (epoch, count) => Seeds.Permutation(Seeds.Derive(runSeed, "order", step, epoch), count);

    /// <summary>Improves the policy on a batch, and takes the training state one step further.</summary>
    /// <param name="policy">Changed in place.</param>
    /// <param name="state">Changed in place.</param>
    /// <param name="samples">The step's rollouts, all shards together, or its preferences.</param>
    /// <param name="algorithm">What is learned from them.</param>
    /// <param name="epochOrder">Epoch and a count → a permutation of so many.</param>
    /// <param name="cancellationToken">Looked at between mini-batches; a step that is cancelled or fails leaves policy and state half-way, without gradients.</param>
    public static StepStats Run(
        TrainedPolicy policy, TrainingState state, IReadOnlyList<RolloutSample> samples, Algorithm algorithm,
        Func<int, int, int[]> epochOrder, CancellationToken cancellationToken)
    {
        using var stage = Stage.Begin("update");
        using var scope = NewDisposeScope();
        var clock = Stopwatch.StartNew();
        var settings = algorithm.Settings;

        // 1. rewards, advantages, and what else the algorithm learns from, once for all epochs
        var batch = RolloutTensors.Of(samples, policy.Device);
        var objective = algorithm.Prepare(batch, samples, state);

        // 2. epochs of mini-batches
        var log = new LossLog();
        var learningRates = LearningRates(policy, state, algorithm);
        using var frozen = state.Step < algorithm.ValueWarmupSteps ? policy.WithAdapterFrozen() : null;
        if (state.Step == algorithm.ValueWarmupSteps)
            state.Optimizer.Restart(); // or the warm-up's step count would belie the adapter's moments
        try
        {
            for (var epoch = 0; epoch < settings.Epochs; epoch++)
            {
                using var pass = Stage.Begin("epoch");
                var units = Array.ConvertAll(epochOrder(epoch, objective.Units.Length), place => objective.Units[place]);
                foreach (var step in units.Chunk(settings.MiniBatchSize * settings.GradientAccumulationSteps))
                    Descend(policy, state, samples, algorithm, objective, step, learningRates, log, cancellationToken);
                if (log.Latest is { } latest && algorithm.IsFarEnough(latest))
                    break;
            }
        }
        catch
        {
            state.Optimizer.ClearGradients(); // or the policy's next update would begin with them
            throw;
        }

        // 3. statistics, with the coefficient that was used
        var stats = StepStats.Of(samples, algorithm, objective, batch, log, state.KlCoefficient, learningRates[0], clock.Elapsed);

        // 4. the KL coefficient of the next step
        if (stats.Metrics.TryGetValue(MetricNames.Kl, out var sequenceKl)) // absent when not finite
            state.KlCoefficient = algorithm.NextKlCoefficient(state.KlCoefficient, sequenceKl, samples.Count);

        // 5. whether the run has gone too far
        state.FirstResponseLength ??= stats.Metrics[MetricNames.ResponseLengthMean];
        var alarm = StepAlarm.Find(state.Step, stats.Metrics, log.LargestRatio, state.FirstResponseLength.Value, algorithm);
        state.Step++;
        return stats with { Alarm = alarm };
    }

    /// <summary>One optimizer step: the gradient of the loss of <paramref name="units"/>, mini-batch by mini-batch.</summary>
    private static void Descend(
        TrainedPolicy policy, TrainingState state, IReadOnlyList<RolloutSample> samples, Algorithm algorithm, Objective objective,
        int[][] units, double[] learningRates, LossLog log, CancellationToken cancellationToken)
    {
        int[][] miniBatches = [.. units.Chunk(algorithm.Settings.MiniBatchSize).Select(miniBatch => miniBatch.SelectMany(unit => unit).ToArray())];
        var whole = new WholeStep(units.Length, miniBatches.Sum(rows => rows.Sum(row => objective.Tokens[row])), miniBatches.Length);
        var contributions = 0;
        foreach (var rows in miniBatches)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            using var scored = MiniBatch.Score(policy, samples, rows, algorithm.Temperature);
            var rowIds = tensor(Array.ConvertAll(rows, row => (long)row), device: policy.Device); // [b]

            var loss = objective.Loss(scored, rowIds, whole);
            var isSound = loss.IsSound(algorithm.LargestRatio);
            log.Add(loss, isSound);
            if (!isSound)
                continue;
            loss.Total.backward();
            scored.Backward();
            contributions++;
        }
        if (contributions > 0 && !state.Optimizer.Step(learningRates, algorithm.Settings.MaxGradientNorm))
            log.Skipped += contributions;
    }

    private static double[] LearningRates(TrainedPolicy policy, TrainingState state, Algorithm algorithm)
    {
        var share = Adam.LearningRateShare(state.Step, algorithm.Settings);
        return [.. policy.Parameters.Select(named =>
            share * (named.Key is ValueHead.WeightName or ValueHead.BiasName ? algorithm.ValueHeadLearningRate : algorithm.Settings.LearningRate))];
    }
}
