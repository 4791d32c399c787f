using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Compute;

/// <summary>
/// Lends loaded policies to activities, so that a step does not pay for loading. Activities that run side by side each have a policy of
/// their own; all policies on one base, of whatever runs, have its weights in common.
/// </summary>
public sealed class PolicyPool(ModelFolders folders, LoadedModels models)
{
    /// <summary>About what a policy has of its own: adapter, value head, tokenizer.</summary>
    private const long BytesOfAnAdapter = 32 << 20;

    /// <summary>
    /// Runs some work on a loaded policy. Its adapter holds what the last work left: restore a checkpoint first. A policy on which
    /// work failed is let go, for nobody knows what it was left with.
    /// </summary>
    /// <param name="modelPath">The base model, models/{name}.</param>
    /// <param name="request">Says precision, device and adapter.</param>
    /// <param name="work">Works synchronously: tensors belong to its thread.</param>
    /// <param name="threads">CPU threads of the work.</param>
    /// <param name="cancellation">Stops the wait for the model.</param>
    public async Task<TResult> UseAsync<TResult>(
        string modelPath, RunRequest request, int threads, Func<LoadedPolicy, TResult> work, CancellationToken cancellation)
    {
        string folder = await folders.FetchAsync(modelPath, cancellation);
        string baseKey = JsonSerializer.Serialize(new { folder, request.Model.Precision, request.Model.ComputeType, request.Compute.Device }, ContractsJson.Options);
        string key = JsonSerializer.Serialize(new { baseKey, request.Lora, request.Algorithm }, ContractsJson.Options);
        Threads.Use(threads); // from the request, never from the machine
        // The base is given back last, so that it is idle for less long than any policy on it, and makes room after them.
        using var weights = models.TakeShared(baseKey, ModelFolders.BytesIn(folder), () => LoadedPolicy.LoadBase(folder, request));
        using var lease = models.TakeAlone(key, BytesOfAnAdapter, () => LoadedPolicy.On(weights.Model, folder, request));
        try
        {
            return work(lease.Model);
        }
        catch (Exception e) when (e is not (InvalidInputException or OperationCanceledException)) // these stop where work may
        {
            lease.Distrust();
            throw;
        }
    }
}
