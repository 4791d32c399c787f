using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Runs;

namespace RlhfFunctions.Compute;

/// <summary>What it takes to work on a step's update.</summary>
/// <param name="Policy">As it is after the steps of the optimizer that were made.</param>
/// <param name="State">Likewise.</param>
/// <param name="Samples">The step's.</param>
/// <param name="Algorithm">The run's.</param>
/// <param name="Order">In which epochs visit the samples.</param>
/// <param name="Log">Of the steps of the optimizer that were made.</param>
public sealed record StepUpdate(
    TrainedPolicy Policy, TrainingState State, IReadOnlyList<RolloutSample> Samples, Algorithm Algorithm, Func<int, int, int[]> Order, UpdateLog Log)
{
    /// <summary>To go on with it piece by piece.</summary>
    public PolicyUpdate Pieces()
    {
        return new PolicyUpdate(Policy, State, Samples, Algorithm, Order, Log);
    }
}

/// <summary>Takes up a step's update where it is, for the one activity or the many that work on it.</summary>
public sealed class StepUpdates(Checkpoints checkpoints, StepSamples samples, PolicyPool policies, ComputeGate gate)
{
    /// <summary>Runs some work, when it has its turn.</summary>
    /// <param name="request">The run.</param>
    /// <param name="baseModel">Its imported base model.</param>
    /// <param name="step">The step.</param>
    /// <param name="optimizerSteps">Steps of the optimizer whose state was handed on; 0: the checkpoint.</param>
    /// <param name="work">Works synchronously: tensors belong to its thread.</param>
    /// <param name="cancellation">Stops the wait.</param>
    public async Task<T> TakeUpAsync<T>(
        RunRequest request, string baseModel, int step, int optimizerSteps, Func<StepUpdate, T> work, CancellationToken cancellation)
    {
        int threads = request.Compute.UpdateThreads;
        using var turn = await gate.EnterAsync(request.Compute, threads, cancellation);
        var files = await checkpoints.ReadAsync(request.RunId!, step, optimizerSteps, cancellation);
        var learned = await samples.GetAsync(request, step, cancellation);
        return await policies.UseAsync(
            baseModel,
            request,
            threads,
            loaded =>
            {
                loaded.Policy.ActivationBytes = (long)request.Compute.ActivationMegabytes << 20;
                using var state = TrainingState.Restore(loaded.Policy, files);
                return work(new StepUpdate(
                    loaded.Policy,
                    state,
                    learned,
                    Algorithm.Of(request.Training, request.Generation),
                    PolicyUpdate.EpochOrder((ulong)request.Seed, step),
                    files.TryGetValue(UpdateLog.FileName, out byte[]? log) ? UpdateLog.Read(log) : new UpdateLog()));
            },
            cancellation);
    }
}
