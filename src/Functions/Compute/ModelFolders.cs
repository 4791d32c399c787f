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
        if (manifest.Files.FirstOrDefault(file => file.Name.Contains('/', StringComparison.Ordinal)) is { } nested)
            throw new CorruptArtifactException(modelPath, $"names a file \"{nested.Name}\", where a model has no folders");
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

    /// <summary>Bytes of a model's files: about what it needs in memory.</summary>
    public static long BytesIn(string folder)
    {
        return new DirectoryInfo(folder).EnumerateFiles().Sum(file => file.Length);
    }

    private async Task DownloadAsync(IReadOnlyList<ArtifactFile> files, string folder, CancellationToken cancellation)
    {
        string attempt = $"{folder}.{Guid.NewGuid():n}";
        Directory.CreateDirectory(attempt);
        try
        {
            foreach (var file in files)
            {
                await using var target = File.Create(Path.Combine(attempt, file.Name));
                await artifacts.CopyAsync(file, target, cancellation);
            }

            Directory.Move(attempt, folder); // a folder under its final name is whole
        }
        catch (IOException) when (Directory.Exists(folder))
        {
            // Another process on this machine was faster.
        }
        finally
        {
            if (Directory.Exists(attempt)) Directory.Delete(attempt, recursive: true); // a failed download would fill the disk, one a retry
        }
    }
}
