using System.Globalization;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Runs;

/// <summary>
/// Lets go of what a run has left behind it: checkpoints and rollouts, but for the last few that its request keeps, the best one that
/// the watch has seen, and checkpoint 0, from which all can be made again; and gradients, as soon as their step's checkpoint is there.
/// </summary>
public sealed class RunRetention(ArtifactStore artifacts, BlobFiles blobs)
{
    private const int DeletedAtOnce = 16;

    /// <summary>
    /// After a step: deletes the one checkpoint and the one step's rollouts that fall out, and its gradients. No more than these, so that an activity
    /// which is delivered late touches nothing that a run which went back needs.
    /// </summary>
    /// <param name="request">The run.</param>
    /// <param name="report">The step.</param>
    /// <param name="cancellation">Stops between blobs.</param>
    public async Task DiscardOneAsync(RunRequest request, StepReport report, CancellationToken cancellation)
    {
        string runId = request.RunId!;
        int steps = report.Step + 1;
        int last = steps - request.Retention.Checkpoints; // and the best of all, which stays until there is a better one
        foreach (int checkpoint in new[] { last, report.Replaced ?? 0 }.Distinct().Where(number => number > 0 && number <= last && number != report.Best))
        {
            // Only while a later one is there: whatever happens, the run can go on from it.
            if (await artifacts.IsThereAsync(BlobPaths.Checkpoint(runId, last + 1), cancellation))
                await artifacts.DeleteAsync(BlobPaths.Checkpoint(runId, checkpoint), cancellation);
        }

        int step = steps - 1 - request.Retention.Rollouts;
        if (step >= 0) await DeleteAsync(BlobPaths.Rollouts(runId, step), cancellation);
        if (request.Compute.UpdateShards > 1) await DeleteAsync(BlobPaths.Update(runId, steps - 1), cancellation);
    }

    /// <summary>At the run's end: deletes all that should be gone.</summary>
    /// <param name="request">The run.</param>
    /// <param name="steps">How many steps it did.</param>
    /// <param name="published">The checkpoint that was published.</param>
    /// <param name="cancellation">Stops between blobs.</param>
    public async Task DiscardAsync(RunRequest request, int steps, int published, CancellationToken cancellation)
    {
        foreach (int number in await NumbersAsync(BlobPaths.Checkpoints(request.RunId!), cancellation))
        {
            if (number > 0 && number <= steps - request.Retention.Checkpoints && number != published)
                await artifacts.DeleteAsync(BlobPaths.Checkpoint(request.RunId!, number), cancellation);
        }

        foreach (int number in await NumbersAsync(BlobPaths.RolloutSteps(request.RunId!), cancellation))
        {
            if (number < steps) await DeleteAsync(BlobPaths.Update(request.RunId!, number), cancellation);
            if (number < steps - request.Retention.Rollouts) await DeleteAsync(BlobPaths.Rollouts(request.RunId!, number), cancellation);
        }
    }

    /// <summary>The numbers of the folders below a path.</summary>
    private async Task<IEnumerable<int>> NumbersAsync(string path, CancellationToken cancellation)
    {
        var listed = await blobs.ListAsync(path + "/", cancellation);
        return listed.Select(blob => blob.Path[(path.Length + 1)..].Split('/')[0]).Distinct()
            .Select(name => int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : -1).Where(number => number >= 0);
    }

    private async Task DeleteAsync(string folder, CancellationToken cancellation)
    {
        // Manifests first: an artefact is whole or not there.
        var atOnce = new ParallelOptions { MaxDegreeOfParallelism = DeletedAtOnce, CancellationToken = cancellation };
        var listed = (await blobs.ListAsync(folder + "/", cancellation)).ToLookup(blob => blob.Path.EndsWith("/manifest.json", StringComparison.Ordinal));
        foreach (bool areManifests in new[] { true, false })
            await Parallel.ForEachAsync(listed[areManifests], atOnce, async (blob, stop) => await blobs.DeleteAsync(blob.Path, stop));
    }
}
