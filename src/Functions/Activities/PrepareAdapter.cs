using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>Draws the adapter's first weights from the run's seed: checkpoint 0, where the policy still is the reference.</summary>
public sealed class PrepareAdapter(RunRequests requests, ModelFolders models, ArtifactStore artifacts)
{
    /// <returns>The checkpoint's path.</returns>
    [Function(FunctionNames.PrepareAdapter)]
    public async Task<string> Run([ActivityTrigger] PrepareAdapterInput input, CancellationToken cancellation)
    {
        var request = await requests.GetAsync(input.RunId, cancellation);
        string path = BlobPaths.Checkpoint(input.RunId, step: 0);
        return await artifacts.MakeOnceAsync(
            path,
            async stop =>
            {
                using var loaded = LoadedPolicy.Load(await models.FetchAsync(input.BaseModel, stop), request);
                using var state = TrainingState.Start(loaded.Policy, Algorithm.Of(request.Training, request.Generation));
                return new NewArtifact<string>(state.ToFiles(), path);
            },
            cancellation);
    }
}
