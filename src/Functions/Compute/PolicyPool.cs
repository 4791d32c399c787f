using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Compute;

/// <summary>
/// Lends loaded base models to activities, so that a step does not pay for loading. Activities that run side by side each have a
/// policy of their own.
/// </summary>
public sealed class PolicyPool(ModelFolders folders, LoadedModels models)
{
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
        string key = JsonSerializer.Serialize(new { folder, request.Model.Precision, request.Model.ComputeType, request.Lora, request.Compute.Device, request.Algorithm }, ContractsJson.Options);
        Threads.Use(threads); // from the request, never from the machine
        using var lease = models.TakeAlone(key, ModelFolders.BytesIn(folder), () => LoadedPolicy.Load(folder, request));
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
