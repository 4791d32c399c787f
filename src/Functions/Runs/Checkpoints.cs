using System.Globalization;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Runs;

/// <summary>
/// The states a run goes through, one before each step. All of a step's activities ask for the same one, so the last stays in
/// memory.
/// </summary>
public sealed class Checkpoints(ArtifactStore artifacts, BlobFiles blobs)
{
    private volatile Cached? _last;

    /// <summary>The checkpoint's files by name.</summary>
    public Task<IReadOnlyDictionary<string, byte[]>> ReadAsync(string runId, int step, CancellationToken cancellation)
    {
        return ReadAsync(runId, step, optimizerSteps: 0, cancellation);
    }

    /// <summary>The same of the state on the way to the next checkpoint, after some steps of the optimizer.</summary>
    public async Task<IReadOnlyDictionary<string, byte[]>> ReadAsync(string runId, int step, int optimizerSteps, CancellationToken cancellation)
    {
        string path = optimizerSteps == 0 ? BlobPaths.Checkpoint(runId, step) : BlobPaths.OptimizerState(runId, step, optimizerSteps);
        // By what lies there now: a run that was deleted may come again under its id.
        var made = (await artifacts.GetAsync<object>(path, cancellation)).Files;
        if (_last is { } last && last.Made.SequenceEqual(made)) return last.Files;
        var files = new Dictionary<string, byte[]>();
        foreach (var file in made) files[file.Name] = await artifacts.ReadAsync(file, cancellation);
        _last = new Cached(made, files);
        return files;
    }

    /// <summary>Those that are whole, the first first.</summary>
    public async Task<IReadOnlyList<RunCheckpoint>> ListAsync(string runId, CancellationToken cancellation)
    {
        string folder = BlobPaths.Checkpoints(runId) + "/";
        var listed = await blobs.ListAsync(folder, cancellation);
        return [.. listed.Select(blob => (Parts: blob.Path[folder.Length..].Split('/'), blob.LastModified))
            .Where(blob => blob.Parts is [_, "manifest.json"])
            .Select(blob => new RunCheckpoint(int.Parse(blob.Parts[0], CultureInfo.InvariantCulture), blob.LastModified))
            .OrderBy(checkpoint => checkpoint.Step)];
    }

    private sealed record Cached(IReadOnlyList<ArtifactFile> Made, IReadOnlyDictionary<string, byte[]> Files);
}
