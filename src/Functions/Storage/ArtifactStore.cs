using System.Buffers;
using System.Security.Cryptography;
using Azure;
using Azure.Storage;
using Azure.Storage.Blobs.Models;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Storage;

/// <summary>
/// Results that are whole or not there. An attempt writes its files under a prefix of its own; one manifest, created only
/// where there is none, makes them visible. However often an activity is delivered, its callers see one artefact.
/// </summary>
public sealed class ArtifactStore(BlobFiles blobs)
{
    private const string ManifestName = "manifest.json";

    // Memory needed is a few blocks, whatever the file's length; a blob holds 50,000 of them.
    private static readonly StorageTransferOptions InBlocks = new()
    {
        InitialTransferSize = 8 << 20,
        MaximumTransferSize = 8 << 20,
        MaximumConcurrency = 4,
    };

    /// <summary>Returns the artefact's result, making the artefact only if it is not there.</summary>
    /// <param name="path">Where it lies.</param>
    /// <param name="make">Computes files and result.</param>
    /// <param name="cancellation">Stops the work; nothing becomes visible then.</param>
    public Task<TResult> MakeOnceAsync<TResult>(
        string path, Func<CancellationToken, Task<NewArtifact<TResult>>> make, CancellationToken cancellation)
    {
        return MakeOnceAsync(path, $"{path}/{Guid.NewGuid():n}", make, cancellation);
    }

    /// <summary>
    /// As <see cref="MakeOnceAsync{TResult}(string, Func{CancellationToken, Task{NewArtifact{TResult}}}, CancellationToken)"/>, but
    /// under plain names that people and tools can rely on. Only for files that every attempt writes alike.
    /// </summary>
    public Task<TResult> PublishOnceAsync<TResult>(
        string path, Func<CancellationToken, Task<NewArtifact<TResult>>> make, CancellationToken cancellation)
    {
        return MakeOnceAsync(path, path, make, cancellation);
    }

    private async Task<TResult> MakeOnceAsync<TResult>(
        string path, string attempt, Func<CancellationToken, Task<NewArtifact<TResult>>> make, CancellationToken cancellation)
    {
        try
        {
            if (await FindAsync<TResult>(path, cancellation) is { } made)
            {
                if (await AreThereAsync(made.Files, cancellation)) return made.Result;
                await DiscardAsync(path, cancellation); // the storage has lost a file: what is made again is the same
            }
        }
        catch (CorruptArtifactException)
        {
            await DiscardAsync(path, cancellation); // what lies there is no artefact, and whoever makes it need not know what it was
        }

        var artifact = await make(cancellation);
        var files = new List<ArtifactFile>();
        foreach (var (name, open) in artifact.Files)
            files.Add(await WriteAsync(name, $"{attempt}/{name}", open, cancellation));

        var manifest = new ArtifactManifest<TResult>([.. files, .. artifact.Stored], artifact.Result);
        if (await blobs.TryCreateAsync($"{path}/{ManifestName}", BinaryData.FromObjectAsJson(manifest, ContractsJson.Options), cancellation))
            return artifact.Result;

        // Another attempt was faster, and its output is the artefact; or this one's manifest was written and the answer got lost.
        var winner = await GetAsync<TResult>(path, cancellation);
        var named = winner.Files.Select(file => file.Blob).ToHashSet();
        foreach (var file in files.Where(file => !named.Contains(file.Blob))) await blobs.DeleteAsync(file.Blob, cancellation);
        return winner.Result;
    }

    /// <summary>Reads every artefact below a path and discards those that are not whole.</summary>
    /// <returns>The paths of those that are whole.</returns>
    public async Task<IReadOnlySet<string>> RepairAsync(string root, CancellationToken cancellation)
    {
        var whole = new HashSet<string>();
        foreach (var (manifest, _) in await blobs.ListAsync(root + "/", cancellation))
        {
            if (!manifest.EndsWith("/" + ManifestName, StringComparison.Ordinal)) continue;
            string path = manifest[..^(ManifestName.Length + 1)];
            try
            {
                foreach (var file in (await GetAsync<object>(path, cancellation)).Files) await CopyAsync(file, Stream.Null, cancellation);
                whole.Add(path);
            }
            catch (CorruptArtifactException)
            {
                await DiscardAsync(path, cancellation);
            }
        }

        return whole;
    }

    /// <summary>The artefact's manifest, or null when it has not been made.</summary>
    /// <exception cref="CorruptArtifactException">What lies there is no manifest, or that of another artefact.</exception>
    public async Task<ArtifactManifest<TResult>?> FindAsync<TResult>(string path, CancellationToken cancellation)
    {
        string blob = $"{path}/{ManifestName}";
        var manifest = await blobs.ReadJsonAsync<ArtifactManifest<TResult>>(blob, cancellation);
        return manifest?.ProblemAt(path) is { } problem ? throw new CorruptArtifactException(blob, problem) : manifest;
    }

    /// <summary>The artefact's manifest.</summary>
    /// <exception cref="CorruptArtifactException">There is none.</exception>
    public async Task<ArtifactManifest<TResult>> GetAsync<TResult>(string path, CancellationToken cancellation)
    {
        return await FindAsync<TResult>(path, cancellation) ?? throw new CorruptArtifactException($"{path}/{ManifestName}", "is missing");
    }

    /// <summary>All files of an artefact, by name, each checked against its hash.</summary>
    public async Task<IReadOnlyDictionary<string, byte[]>> ReadFilesAsync(string path, CancellationToken cancellation)
    {
        var files = new Dictionary<string, byte[]>();
        foreach (var file in (await GetAsync<object>(path, cancellation)).Files) files[file.Name] = await ReadAsync(file, cancellation);
        return files;
    }

    /// <summary>The artefact's file of that name, as it was made; made anew it is another one.</summary>
    /// <exception cref="CorruptArtifactException">The artefact is not there, or has no such file.</exception>
    public async Task<ArtifactFile> GetFileAsync(string path, string name, CancellationToken cancellation)
    {
        var manifest = await GetAsync<object>(path, cancellation);
        return manifest.Files.FirstOrDefault(file => file.Name == name) ?? throw new CorruptArtifactException($"{path}/{ManifestName}", $"names no {name}");
    }

    /// <summary>The bytes of the artefact's file of that name, checked against its hash.</summary>
    /// <exception cref="CorruptArtifactException">The artefact or its file is not there, or not what was written.</exception>
    public async Task<byte[]> ReadFileAsync(string path, string name, CancellationToken cancellation)
    {
        return await ReadAsync(await GetFileAsync(path, name, cancellation), cancellation);
    }

    /// <summary>One file's bytes, checked against its hash.</summary>
    public async Task<byte[]> ReadAsync(ArtifactFile file, CancellationToken cancellation)
    {
        using var bytes = new MemoryStream();
        await CopyAsync(file, bytes, cancellation);
        return bytes.ToArray();
    }

    /// <summary>Copies a file's bytes to a stream; what was copied may be used only if this returns.</summary>
    /// <exception cref="CorruptArtifactException">The blob is gone, or its length or hash is not the manifest's.</exception>
    public async Task CopyAsync(ArtifactFile file, Stream destination, CancellationToken cancellation)
    {
        try
        {
            await using var source = await (await blobs.BlobAsync(file.Blob)).OpenReadAsync(cancellationToken: cancellation);
            if (source.Length != file.Length)
                throw new CorruptArtifactException(file.Blob, $"has {source.Length} bytes where its manifest says {file.Length}");
            if (destination is MemoryStream memory) memory.Capacity = checked((int)file.Length);
            var (_, sha256) = await HashAsync(source, destination, cancellation);
            if (sha256 != file.Sha256) throw new CorruptArtifactException(file.Blob, "has another SHA-256 than its manifest says");
        }
        catch (RequestFailedException e) when (e.Status == 404)
        {
            throw new CorruptArtifactException(file.Blob, "is missing");
        }
    }

    /// <summary>Whether an artefact is there with all its files, by their lengths.</summary>
    public async Task<bool> IsThereAsync(string path, CancellationToken cancellation)
    {
        return await FindAsync<object>(path, cancellation) is { } manifest && await AreThereAsync(manifest.Files, cancellation);
    }

    /// <summary>Deletes an artefact and whatever attempts at it have left.</summary>
    public async Task DeleteAsync(string path, CancellationToken cancellation)
    {
        await DiscardAsync(path, cancellation); // first: an artefact is whole or not there
        foreach (var blob in await blobs.ListAsync(path + "/", cancellation)) await blobs.DeleteAsync(blob.Path, cancellation);
    }

    /// <summary>Whether files are there with their lengths; their bytes are checked by whoever reads them.</summary>
    private async Task<bool> AreThereAsync(IEnumerable<ArtifactFile> files, CancellationToken cancellation)
    {
        foreach (var file in files)
        {
            if (await blobs.FindLengthAsync(file.Blob, cancellation) != file.Length) return false;
        }

        return true;
    }

    private Task DiscardAsync(string path, CancellationToken cancellation)
    {
        return blobs.DeleteAsync($"{path}/{ManifestName}", cancellation);
    }

    /// <summary>Length and SHA-256 of a stream, copying it on the way.</summary>
    public static async Task<(long Length, string Sha256)> HashAsync(Stream source, Stream destination, CancellationToken cancellation)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(1 << 20);
        try
        {
            long length = 0;
            int read;
            while ((read = await source.ReadAsync(buffer, cancellation)) > 0)
            {
                hash.AppendData(buffer, 0, read);
                await destination.WriteAsync(buffer.AsMemory(0, read), cancellation);
                length += read;
            }

            return (length, Convert.ToHexStringLower(hash.GetHashAndReset()));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async Task<ArtifactFile> WriteAsync(string name, string path, Func<Stream> open, CancellationToken cancellation)
    {
        await using var content = open();
        var blob = await blobs.BlobAsync(path);
        if (content.CanSeek)
        {
            var (knownLength, knownSha256) = await HashAsync(content, Stream.Null, cancellation);
            content.Position = 0;
            await blob.UploadAsync(content, new BlobUploadOptions { Tags = BlobPaths.TagsOf(path) }, cancellation);
            return new ArtifactFile(name, path, knownLength, knownSha256);
        }

        // What can be read only once is hashed on its way: it goes up in blocks that count only when the last one is there.
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long length = 0;
        await using var hashed = new ObservedStream(content, piece =>
        {
            hash.AppendData(piece.Span);
            length += piece.Length;
        });
        await blob.UploadAsync(hashed, new BlobUploadOptions { TransferOptions = InBlocks, Tags = BlobPaths.TagsOf(path) }, cancellation);
        return new ArtifactFile(name, path, length, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }
}
