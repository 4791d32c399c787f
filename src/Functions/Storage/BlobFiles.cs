using System.Collections.Concurrent;
using System.Text.Json;
using Azure;
using Azure.Storage.Blobs;
using Azure.Storage.Blobs.Models;
using Azure.Storage.Blobs.Specialized;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Storage;

/// <summary>Blobs by path, where a path's first segment is the container. Containers are private and made on first use.</summary>
public sealed class BlobFiles(BlobServiceClient service)
{
    private readonly ConcurrentDictionary<string, Task<BlobContainerClient>> _containers = new();

    /// <summary>The blob at a path such as <c>runs/x/request.json</c>, in a container that is there.</summary>
    public async Task<BlobClient> BlobAsync(string path)
    {
        var (container, name) = Split(path);
        return (await _containers.GetOrAdd(container, OpenContainerAsync)).GetBlobClient(name);
    }

    /// <summary>The same, to look at: nothing is made, not even the container.</summary>
    private BlobClient Peek(string path)
    {
        var (container, name) = Split(path);
        return service.GetBlobContainerClient(container).GetBlobClient(name);
    }

    private static (string Container, string Name) Split(string path)
    {
        int slash = path.IndexOf('/', StringComparison.Ordinal);
        return slash > 0 && slash < path.Length - 1
            ? (path[..slash], path[(slash + 1)..])
            : throw new InvalidInputException($"\"{path}\" is no blob path: expected container/name.");
    }

    /// <summary>Writes a blob unless there is one; false: there was one already.</summary>
    public async Task<bool> TryCreateAsync(string path, BinaryData content, CancellationToken cancellation)
    {
        try
        {
            var options = new BlobUploadOptions { Conditions = new() { IfNoneMatch = ETag.All }, Tags = BlobPaths.TagsOf(path) };
            await (await BlobAsync(path)).UploadAsync(content, options, cancellation);
            return true;
        }
        catch (RequestFailedException e) when (e.Status is 409 or 412)
        {
            return false;
        }
    }

    /// <summary>Records what a path stands for from now on, or finds it recorded; the same path may not stand for two things.</summary>
    /// <returns>False when it stands for something else.</returns>
    public async Task<bool> TryRecordAsync<T>(string path, T value, CancellationToken cancellation)
        where T : class
    {
        var body = Write(value);
        if (await TryCreateAsync(path, body, cancellation)) return true;
        var recorded = await ReadJsonAsync<T>(path, cancellation) ?? throw new CorruptArtifactException(path, "is missing");
        return Write(recorded).ToMemory().Span.SequenceEqual(body.ToMemory().Span);
    }

    /// <summary>A blob's JSON, or null when there is no such blob.</summary>
    /// <exception cref="CorruptArtifactException">It is not the JSON it should be.</exception>
    public async Task<T?> ReadJsonAsync<T>(string path, CancellationToken cancellation)
        where T : class
    {
        return await DownloadAsync(path, cancellation) is { } content ? Parse<T>(path, content.Content) : null;
    }

    /// <summary>
    /// Changes a blob's JSON. Of two who do so at once, neither overwrites what it has not seen: the change is asked for anew. What is
    /// not the JSON it should be counts as not there, and is overwritten.
    /// </summary>
    /// <param name="path">The blob.</param>
    /// <param name="change">Given what is there, or null, returns what shall be: the same leaves the blob alone, null deletes it.</param>
    /// <param name="cancellation">Stops before the change.</param>
    /// <returns>What is there now.</returns>
    public async Task<T?> ChangeJsonAsync<T>(string path, Func<T?, Task<T?>> change, CancellationToken cancellation)
        where T : class
    {
        var blob = await BlobAsync(path);
        while (true)
        {
            var found = await DownloadAsync(path, cancellation);
            var current = found is null ? null : TryParse<T>(path, found.Content);
            var wanted = await change(current);
            if (ReferenceEquals(wanted, current)) return current;
            var unchanged = found is null ? new BlobRequestConditions { IfNoneMatch = ETag.All } : new BlobRequestConditions { IfMatch = found.Details.ETag };
            try
            {
                if (wanted is null) await blob.DeleteAsync(conditions: unchanged, cancellationToken: cancellation);
                else await blob.UploadAsync(Write(wanted), new BlobUploadOptions { Conditions = unchanged }, cancellation);
                return wanted;
            }
            catch (RequestFailedException e) when (e.Status is 409 or 412 || (e.Status == 404 && wanted is null))
            {
                // Somebody else changed it in between: look again.
            }
        }
    }

    /// <summary>The names between a container's name and the next slash.</summary>
    public async Task<IReadOnlyList<string>> ListFoldersAsync(string container, CancellationToken cancellation)
    {
        var names = new List<string>();
        var client = await _containers.GetOrAdd(container, OpenContainerAsync);
        await foreach (var item in client.GetBlobsByHierarchyAsync(new GetBlobsByHierarchyOptions { Delimiter = "/" }, cancellation))
        {
            if (item.IsPrefix) names.Add(item.Prefix.TrimEnd('/'));
        }

        return names;
    }

    /// <summary>All blobs whose path starts so.</summary>
    public async Task<IReadOnlyList<ListedBlob>> ListAsync(string prefix, CancellationToken cancellation)
    {
        var found = new List<ListedBlob>();
        int slash = prefix.IndexOf('/', StringComparison.Ordinal);
        var container = await _containers.GetOrAdd(prefix[..slash], OpenContainerAsync);
        await foreach (var blob in container.GetBlobsAsync(new GetBlobsOptions { Prefix = prefix[(slash + 1)..] }, cancellation))
            found.Add(new ListedBlob($"{prefix[..slash]}/{blob.Name}", blob.Properties.LastModified ?? DateTimeOffset.MaxValue));
        return found;
    }

    /// <summary>What time the storage says it is. Blobs' times are compared with this one alone: clocks may be apart.</summary>
    public async Task<DateTimeOffset> ReadClockAsync(CancellationToken cancellation)
    {
        var container = await _containers.GetOrAdd(BlobPaths.Runs, OpenContainerAsync);
        var answer = (await container.GetPropertiesAsync(cancellationToken: cancellation)).GetRawResponse();
        return answer.Headers.Date ?? throw new InvalidDataException("The storage's answer does not say what time it is.");
    }

    /// <summary>Deletes a blob if it is there.</summary>
    public async Task DeleteAsync(string path, CancellationToken cancellation)
    {
        await (await BlobAsync(path)).DeleteIfExistsAsync(cancellationToken: cancellation);
    }

    /// <summary>When a blob was first written, or null when there is no such blob.</summary>
    public async Task<DateTimeOffset?> FindCreationTimeAsync(string path, CancellationToken cancellation)
    {
        return (await FindPropertiesAsync(path, cancellation))?.CreatedOn;
    }

    /// <summary>When a blob was last written, or null when there is no such blob.</summary>
    public async Task<DateTimeOffset?> FindChangeTimeAsync(string path, CancellationToken cancellation)
    {
        return (await FindPropertiesAsync(path, cancellation))?.LastModified;
    }

    /// <summary>A blob's version, or null when there is no such blob.</summary>
    public async Task<string?> FindVersionAsync(string path, CancellationToken cancellation)
    {
        return (await FindPropertiesAsync(path, cancellation))?.ETag.ToString();
    }

    /// <summary>A blob's length in bytes, or null when there is no such blob.</summary>
    public async Task<long?> FindLengthAsync(string path, CancellationToken cancellation)
    {
        return (await FindPropertiesAsync(path, cancellation))?.ContentLength;
    }

    private async Task<BlobProperties?> FindPropertiesAsync(string path, CancellationToken cancellation)
    {
        try
        {
            return (await Peek(path).GetPropertiesAsync(cancellationToken: cancellation)).Value;
        }
        catch (RequestFailedException e) when (e.Status == 404)
        {
            return null;
        }
    }

    /// <summary>Adds to the end of a blob, which is made if it is not there; whole or not at all, and of two at once both are kept.</summary>
    public async Task AppendAsync(string path, BinaryData content, CancellationToken cancellation)
    {
        int slash = path.IndexOf('/', StringComparison.Ordinal);
        var container = await _containers.GetOrAdd(path[..slash], OpenContainerAsync);
        var blob = container.GetAppendBlobClient(path[(slash + 1)..]);
        await blob.CreateIfNotExistsAsync(cancellationToken: cancellation);
        await blob.AppendBlockAsync(content.ToStream(), cancellationToken: cancellation);
    }

    /// <summary>A blob's text, or null when there is no such blob.</summary>
    public async Task<string?> ReadTextAsync(string path, CancellationToken cancellation)
    {
        try
        {
            return (await Peek(path).DownloadContentAsync(cancellation)).Value.Content.ToString();
        }
        catch (RequestFailedException e) when (e.Status == 404)
        {
            return null;
        }
    }

    /// <summary>Writes a blob whole, whatever was there.</summary>
    public async Task ReplaceAsync(string path, BinaryData content, CancellationToken cancellation)
    {
        await (await BlobAsync(path)).UploadAsync(content, overwrite: true, cancellation);
    }

    private async Task<BlobDownloadResult?> DownloadAsync(string path, CancellationToken cancellation)
    {
        try
        {
            return (await Peek(path).DownloadContentAsync(cancellation)).Value;
        }
        catch (RequestFailedException e) when (e.Status == 404)
        {
            return null;
        }
    }

    private static BinaryData Write<T>(T value)
    {
        return BinaryData.FromBytes(JsonSerializer.SerializeToUtf8Bytes(value, ContractsJson.Indented));
    }

    private static T Parse<T>(string path, BinaryData content)
    {
        try
        {
            return JsonSerializer.Deserialize<T>(content, ContractsJson.Stored) ?? throw new CorruptArtifactException(path, "holds null");
        }
        catch (Exception e) when (e is JsonException or NotSupportedException) // the latter: an object that does not say its kind
        {
            throw new CorruptArtifactException(path, "is not the JSON it should be");
        }
    }

    private static T? TryParse<T>(string path, BinaryData content)
        where T : class
    {
        try
        {
            return Parse<T>(path, content);
        }
        catch (CorruptArtifactException)
        {
            return null;
        }
    }

    private async Task<BlobContainerClient> OpenContainerAsync(string name)
    {
        try
        {
            var container = service.GetBlobContainerClient(name);
            await container.CreateIfNotExistsAsync();
            return container;
        }
        catch
        {
            _containers.TryRemove(name, out _); // a passing fault must not be remembered
            throw;
        }
    }
}

/// <summary>A blob of a list.</summary>
/// <param name="Path">Its path.</param>
/// <param name="LastModified">When it was last written, by the storage's clock.</param>
public sealed record ListedBlob(string Path, DateTimeOffset LastModified);
