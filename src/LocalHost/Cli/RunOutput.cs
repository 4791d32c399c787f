using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>Reads what a finished run published.</summary>
internal sealed class RunOutput(BlobFiles blobs, ArtifactStore artifacts)
{
    public async Task<EvaluationReport> ReadEvaluationAsync(string runId, CancellationToken cancellation)
    {
        return await blobs.ReadJsonAsync<EvaluationReport>(BlobPaths.Published(runId, RunFiles.Evaluation), cancellation)
            ?? throw new CorruptArtifactException(BlobPaths.Published(runId, RunFiles.Evaluation), "is missing");
    }

    /// <summary>Writes the run's artefacts as plain files, each whole or not at all.</summary>
    public async Task CopyToAsync(string runId, string folder, CancellationToken cancellation)
    {
        var manifest = await artifacts.GetAsync<RunOutcome>(BlobPaths.Run(runId), cancellation);
        foreach (var file in manifest.Files)
        {
            string path = Path.Combine(folder, file.Name);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            await using (var part = File.Create(path + ".part")) await artifacts.CopyAsync(file, part, cancellation);
            File.Move(path + ".part", path, overwrite: true);
        }
    }
}
