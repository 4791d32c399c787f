using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Sources;

/// <summary>The Hugging Face hub, or a server with its interface: what a repository holds, and the files themselves.</summary>
public sealed partial class HubClient(HubConnection hub)
{
    /// <summary>How long a request that is only checked waits for the hub; its answer is due in a few seconds.</summary>
    private static readonly TimeSpan Glance = TimeSpan.FromSeconds(2.5);

    /// <summary>Looks up the commit that a revision stands for now, and the files of that commit.</summary>
    /// <exception cref="InvalidInputException">There is no such repository or revision, or it may not be read.</exception>
    /// <exception cref="HubFaultException">The hub does not answer in spite of all retries.</exception>
    public Task<HubRepository> ResolveAsync(HubSource source, CancellationToken cancellation)
    {
        return hub.PatientlyAsync(() => ResolveOnceAsync(source, cancellation), cancellation);
    }

    /// <summary>As <see cref="ResolveAsync"/>, in one short attempt; null: the hub does not answer now, but may later.</summary>
    public async Task<HubRepository?> TryResolveAsync(HubSource source, CancellationToken cancellation)
    {
        return await GlanceAsync<HubRepository>(async soon => await ResolveOnceAsync(source, soon), cancellation);
    }

    /// <summary>A small file's content, in one short attempt; null: the hub does not give it now, or it is not small.</summary>
    public Task<byte[]?> TryReadAsync(HubRepository repository, HubFile file, int mostBytes, CancellationToken cancellation)
    {
        return GlanceAsync(
            async soon =>
            {
                if (file.Size > mostBytes) return null;
                using var content = new MemoryStream();
                await using var stream = Open(repository, file, mostBytes);
                await stream.CopyToAsync(content, soon);
                return content.ToArray();
            },
            cancellation);
    }

    /// <summary>A file's content, which is fetched while it is read.</summary>
    /// <param name="repository">Where it is.</param>
    /// <param name="file">One of its files.</param>
    /// <param name="mostBytes">Beyond these it is refused.</param>
    public Stream Open(HubRepository repository, HubFile file, long mostBytes)
    {
        string path = string.Join('/', file.Name.Split('/').Select(Uri.EscapeDataString));
        return new HubStream(hub, Address($"{repository.Source.Name}/resolve/{repository.Commit}/{path}"), repository.Source, file, mostBytes);
    }

    private static async Task<T?> GlanceAsync<T>(Func<CancellationToken, Task<T?>> attempt, CancellationToken cancellation)
        where T : class
    {
        using var soon = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        soon.CancelAfter(Glance);
        try
        {
            return await attempt(soon.Token);
        }
        catch (Exception e) when (e is HubFaultException or OperationCanceledException && !cancellation.IsCancellationRequested)
        {
            return null;
        }
    }

    private async Task<HubRepository> ResolveOnceAsync(HubSource source, CancellationToken cancellation)
    {
        string name = source.DataFile is null ? $"models/{source.Repository}" : source.Name;
        var address = Address($"api/{name}/revision/{Uri.EscapeDataString(source.Revision)}?blobs=true");
        using var answer = await hub.GetAsync(address, source, from: 0, unchanged: null, cancellation);
        byte[] body = await hub.WithinStallTimeoutAsync(address, stop => answer.Content.ReadAsByteArrayAsync(stop), cancellation);
        var info = Parse(body, address);
        return new HubRepository(source, info.Sha!, [.. info.Siblings!.Select(file =>
            new HubFile(file.Name!, file.Lfs?.Size ?? file.Size, file.Lfs?.Sha256, file.Lfs is null ? file.BlobId : null))]);
    }

    private static RepositoryInfo Parse(byte[] body, Uri address)
    {
        try
        {
            var info = JsonSerializer.Deserialize<RepositoryInfo>(body);
            if (info?.Sha is { } sha && Commit().IsMatch(sha) && info.Siblings is { } files && files.All(file => file.Name is not null)) return info;
        }
        catch (JsonException)
        {
            // said below
        }

        throw new HubFaultException($"{address} did not answer with a commit and its files. Is HF_ENDPOINT the address of a hub?");
    }

    private Uri Address(string path)
    {
        return new Uri(hub.Settings.Endpoint, path);
    }

    [GeneratedRegex("^[0-9a-f]{40}$")]
    private static partial Regex Commit();

    // The part of the hub's answer that is used here, as it names it.
    private sealed record RepositoryInfo(
        [property: JsonPropertyName("sha")] string? Sha, [property: JsonPropertyName("siblings")] IReadOnlyList<Sibling>? Siblings);

    private sealed record Sibling(
        [property: JsonPropertyName("rfilename")] string? Name,
        [property: JsonPropertyName("size")] long? Size,
        [property: JsonPropertyName("blobId")] string? BlobId,
        [property: JsonPropertyName("lfs")] LargeFile? Lfs);

    private sealed record LargeFile([property: JsonPropertyName("sha256")] string? Sha256, [property: JsonPropertyName("size")] long? Size);
}
