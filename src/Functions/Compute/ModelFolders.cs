using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Compute;

/// <summary>Where downloaded models are kept on this machine's disk.</summary>
public sealed record ModelCacheFolder(string Path);

/// <summary>Brings models from Blob storage to this machine's disk, once each, every file checked against its hash.</summary>
public sealed class ModelFolders(ArtifactStore artifacts, ModelCacheFolder cache)
{
    private readonly ConcurrentDictionary<string, SemaphoreSlim> _downloads = new();

    /// <summary>The folder that holds the model under <paramref name="modelPath"/> (models/{name}).</summary>
    public async Task<string> FetchAsync(string modelPath, CancellationToken cancellation)
    {
        var manifest = await artifacts.GetAsync<object>(modelPath, cancellation);
        byte[] identity = JsonSerializer.SerializeToUtf8Bytes(manifest.Files.Select(file => new { file.Name, file.Sha256 }), ContractsJson.Options);
        string folder = Path.Combine(cache.Path, Convert.ToHexStringLower(SHA256.HashData(identity))[..24]);

        var oneAtATime = _downloads.GetOrAdd(folder, _ => new SemaphoreSlim(1));
        await oneAtATime.WaitAsync(cancellation);
        try
        {
            if (!Directory.Exists(folder)) await DownloadAsync(manifest.Files, folder, cancellation);
            return folder;
        }
        finally
        {
            oneAtATime.Release();
        }
    }

    private async Task DownloadAsync(IReadOnlyList<ArtifactFile> files, string folder, CancellationToken cancellation)
    {
        string attempt = $"{folder}.{Guid.NewGuid():n}";
        Directory.CreateDirectory(attempt);
        foreach (var file in files)
        {
            await using var target = File.Create(Path.Combine(attempt, file.Name));
            await artifacts.CopyAsync(file, target, cancellation);
        }

        try
        {
            Directory.Move(attempt, folder); // a folder under its final name is whole
        }
        catch (IOException) when (Directory.Exists(folder))
        {
            Directory.Delete(attempt, recursive: true); // another process on this machine was faster
        }
    }
}
