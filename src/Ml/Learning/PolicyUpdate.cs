using System.Diagnostics;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
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
/// <remarks>
/// <see cref="Run"/> does it all. It can also be done in pieces by many: for each step of the optimizer the <see cref="Gradient"/> of every
/// shard and one <see cref="Descend(IReadOnlyList{byte[]}, CancellationToken)"/>, until that was the last; then <see cref="Finish()"/>.
/// That comes to the same but for the order in which gradients are added up.
/// </remarks>
/// <param name="policy">Changed in place.</param>
/// <param name="state">Changed in place.</param>
/// <param name="samples">The step's rollouts, all shards together, or its preferences.</param>
/// <param name="algorithm">What is learned from them.</param>
/// <param name="epochOrder">Epoch and a count → a permutation of so many.</param>
/// <param name="log">How far the step has come.</param>
public sealed class PolicyUpdate(
    TrainedPolicy policy, TrainingState state, IReadOnlyList<RolloutSample> samples, Algorithm algorithm, Func<int, int, int[]> epochOrder,
    UpdateLog log)
{
    private readonly Stopwatch _clock = Stopwatch.StartNew();

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
        var log = new UpdateLog();
        var update = new PolicyUpdate(policy, state, samples, algorithm, epochOrder, log);

        // 1. rewards, advantages, and what else the algorithm learns from, once for all epochs
        var batch = RolloutTensors.Of(samples, policy.Device);
        var objective = algorithm.Prepare(batch, samples, state);

        // 2. epochs of mini-batches
        for (var epoch = 0; epoch < algorithm.Settings.Epochs && !update.IsFarEnough; epoch++)
        {
            using var pass = Stage.Begin("epoch");
            foreach (var rows in update.Steps(objective, epoch))
                update.Descend(objective, rows, update.Learn(objective, rows), cancellationToken);
        }
        return update.Finish(batch, objective);
    }

    private bool IsFarEnough => log.Latest is { } latest && algorithm.IsFarEnough(latest);

    /// <summary>The gradient of a shard's part of the step of the optimizer that is to be made next. Nothing is changed.</summary>
    /// <param name="shard">Which one, from 0.</param>
    /// <param name="shards">Of how many; one that has no rows hands on an empty file.</param>
    /// <param name="cancellationToken">Looked at between mini-batches.</param>
    /// <returns>A file for <see cref="Descend(IReadOnlyList{byte[]}, CancellationToken)"/>.</returns>
    public byte[] Gradient(int shard, int shards, CancellationToken cancellationToken)
    {
        using var stage = Stage.Begin("gradient");
        using var scope = NewDisposeScope();
        var objective = algorithm.Prepare(RolloutTensors.Of(samples, policy.Device), samples, state);
        var file = new Dictionary<string, Tensor>();
        if (NextStep(objective) is not { } step)
            return SafetensorsFile.Write(file);

        var whole = step.Whole(objective.Tokens);
        return Learning(() =>
        {
            foreach (var (miniBatch, above, units) in step.Part(shard, shards))
            {
                cancellationToken.ThrowIfCancellationRequested();
                var all = step.Rows(miniBatch);
                int[] places = [.. Enumerable.Range(above, units.Sum(unit => unit.Length))];
                var longest = all.Max(row => samples[row].Response.Length);
                using var scored = MiniBatch.Learn(policy, samples, units, algorithm.Temperature, scores =>
                    objective.Loss(scores.Among(places, all.Length, longest), Ids(all), whole).Total);
                scored.AddGradients();
                GradientFile.Take(file, miniBatch, scored.Scores, policy);
            }
            return SafetensorsFile.Write(file);
        });
    }

    /// <summary>Makes the next step of the optimizer from the gradients of all shards, and notes it in the log.</summary>
    /// <param name="gradients">What <see cref="Gradient"/> gave for each shard, the first first.</param>
    /// <param name="cancellationToken">Looked at between mini-batches.</param>
    /// <returns>Whether there is none behind it.</returns>
    /// <exception cref="InvalidDataException">The gradients are not those of this step of the optimizer.</exception>
    public bool Descend(IReadOnlyList<byte[]> gradients, CancellationToken cancellationToken)
    {
        using var stage = Stage.Begin("descend");
        using var scope = NewDisposeScope();
        var objective = algorithm.Prepare(RolloutTensors.Of(samples, policy.Device), samples, state);
        if (NextStep(objective) is not { } step)
            return true;

        var files = gradients.Select((bytes, shard) => SafetensorsFile.Read(bytes, $"gradient {shard}")).ToArray();
        Descend(objective, step, miniBatch => GradientFile.Gather(files, miniBatch, policy), cancellationToken);
        log.Seconds += _clock.Elapsed.TotalSeconds;
        return NextStep(objective) is null;
    }

    /// <summary>The statistics of the steps of the optimizer that were made, and the training state after them.</summary>
    public StepStats Finish()
    {
        using var scope = NewDisposeScope();
        var batch = RolloutTensors.Of(samples, policy.Device);
        return Finish(batch, algorithm.Prepare(batch, samples, state));
    }

    private StepStats Finish(RolloutTensors batch, Objective objective)
    {
        // 3. statistics, with the coefficient that was used
        log.Seconds += _clock.Elapsed.TotalSeconds;
        var stats = StepStats.Of(samples, algorithm, objective, batch, log, state.KlCoefficient, LearningRates()[0]);

        // 4. the KL coefficient of the next step, and the moments of its scores
        if (stats.Metrics.TryGetValue(MetricNames.Kl, out var sequenceKl)) // absent when not finite
            state.KlCoefficient = algorithm.NextKlCoefficient(state.KlCoefficient, sequenceKl, samples.Count);
        state.ScoreMoments = objective.ScoreMoments ?? state.ScoreMoments;

        // 5. whether the run has gone too far
        state.FirstResponseLength ??= stats.Metrics[MetricNames.ResponseLengthMean];
        var alarm = StepAlarm.Find(state.Step, stats.Metrics, log.LargestRatio, state.FirstResponseLength.Value, algorithm);
        state.Step++;
        return stats with { Alarm = alarm };
    }

    /// <summary>An epoch's steps of the optimizer.</summary>
    private OptimizerRows[] Steps(Objective objective, int epoch) => OptimizerRows.Cut(
        Array.ConvertAll(epochOrder(epoch, objective.Units.Length), place => objective.Units[place]),
        algorithm.Settings.MiniBatchSize, algorithm.Settings.GradientAccumulationSteps);

    /// <summary>What the next step of the optimizer learns from; null: all were made.</summary>
    private OptimizerRows? NextStep(Objective objective)
    {
        var samplesOfStep = algorithm.Settings.MiniBatchSize * algorithm.Settings.GradientAccumulationSteps;
        var stepsOfEpoch = (objective.Units.Length + samplesOfStep - 1) / samplesOfStep;
        if (log.OptimizerSteps == stepsOfEpoch * algorithm.Settings.Epochs)
            return null;
        var (epoch, step) = Math.DivRem(log.OptimizerSteps, stepsOfEpoch);
        return step == 0 && IsFarEnough ? null : Steps(objective, epoch)[step];
    }

    /// <summary>What takes a mini-batch of a step of the optimizer through the policy and back.</summary>
    private Func<int, IScoredBatch> Learn(Objective objective, OptimizerRows step)
    {
        var whole = step.Whole(objective.Tokens);
        return miniBatch => MiniBatch.Learn(
            policy, samples, step.MiniBatches[miniBatch], algorithm.Temperature, scores => objective.Loss(scores, Ids(step.Rows(miniBatch)), whole).Total);
    }

    /// <summary>One step of the optimizer: the gradient of its mini-batches' losses, one after another.</summary>
    private void Descend(Objective objective, OptimizerRows step, Func<int, IScoredBatch> score, CancellationToken cancellationToken)
    {
        if (log.OptimizerSteps == 0 && state.Step == algorithm.ValueWarmupSteps)
            state.Optimizer.Restart(); // or the warm-up's step count would belie the adapter's moments
        var whole = step.Whole(objective.Tokens);
        Learning(() =>
        {
            var contributions = 0;
            for (var miniBatch = 0; miniBatch < step.MiniBatches.Length; miniBatch++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                using var scope = NewDisposeScope();
                using var scored = score(miniBatch);
                var loss = objective.Loss(scored.Scores, Ids(step.Rows(miniBatch)), whole);
                var isSound = loss.IsSound(algorithm.LargestRatio);
                log.Add(loss, isSound);
                if (!isSound)
                    continue;
                scored.AddGradients();
                contributions++;
            }
            if (contributions > 0 && !state.Optimizer.Step(LearningRates(), algorithm.Settings.MaxGradientNorm))
                log.Skipped += contributions;
            return ++log.OptimizerSteps;
        });
    }

    /// <summary>Some work that leaves gradients; while the value head warms up, of it alone.</summary>
    private T Learning<T>(Func<T> work)
    {
        using var frozen = state.Step < algorithm.ValueWarmupSteps ? policy.WithAdapterFrozen() : null;
        try
        {
            return work();
        }
        catch
        {
            state.Optimizer.ClearGradients(); // or the policy's next update would begin with them
            throw;
        }
    }

    private Tensor Ids(int[] rows) => tensor(Array.ConvertAll(rows, row => (long)row), device: policy.Device); // [b]

    private double[] LearningRates()
    {
        var share = Adam.LearningRateShare(state.Step, algorithm.Settings);
        return [.. policy.Parameters.Select(named =>
            share * (named.Key is ValueHead.WeightName or ValueHead.BiasName ? algorithm.ValueHeadLearningRate : algorithm.Settings.LearningRate))];
    }
}
