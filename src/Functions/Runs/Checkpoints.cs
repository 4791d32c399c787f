using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Runs;

/// <summary>
/// The states a run goes through, one before each step. All of a step's activities ask for the same one, so the last stays in
/// memory.
/// </summary>
public sealed class Checkpoints(ArtifactStore artifacts)
{
    private volatile Cached? _last;

    /// <summary>The checkpoint's files by name.</summary>
    public async Task<IReadOnlyDictionary<string, byte[]>> ReadAsync(string runId, int step, CancellationToken cancellation)
    {
        string path = BlobPaths.Checkpoint(runId, step);
        if (_last is { } last && last.Path == path) return last.Files;
        var files = await artifacts.ReadFilesAsync(path, cancellation);
        _last = new Cached(path, files);
        return files;
    }

    private sealed record Cached(string Path, IReadOnlyDictionary<string, byte[]> Files);
}
