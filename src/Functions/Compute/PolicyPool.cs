using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Compute;

/// <summary>
/// Keeps loaded base models between activities, so that a step does not pay for loading. Activities that run side by side each
/// have a policy of their own; policies of other models or settings than the last asked for are let go.
/// </summary>
public sealed class PolicyPool(ModelFolders models) : IDisposable
{
    private const string Unsound = "unsound"; // no policy is ever asked for under it

    private readonly Lock _gate = new();
    private readonly Stack<LoadedPolicy> _idle = new();
    private string _key = "";

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
        string folder = await models.FetchAsync(modelPath, cancellation);
        string key = JsonSerializer.Serialize(new { folder, request.Model.Precision, request.Model.ComputeType, request.Lora, request.Compute.Device }, ContractsJson.Options);
        Threads.Use(threads); // from the request, never from the machine
        var policy = Take(key) ?? LoadedPolicy.Load(folder, request);
        try
        {
            return work(policy);
        }
        catch (Exception e) when (e is not (InvalidInputException or OperationCanceledException)) // these stop where work may
        {
            key = Unsound;
            throw;
        }
        finally
        {
            Return(key, policy);
        }
    }

    public void Dispose()
    {
        Take("");
    }

    private LoadedPolicy? Take(string key)
    {
        lock (_gate)
        {
            if (key == _key) return _idle.TryPop(out var policy) ? policy : null;
            while (_idle.TryPop(out var other)) other.Dispose();
            _key = key;
            return null;
        }
    }

    private void Return(string key, LoadedPolicy policy)
    {
        lock (_gate)
        {
            if (key == _key) _idle.Push(policy);
            else policy.Dispose();
        }
    }
}
