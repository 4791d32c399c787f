using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Azure;
using Azure.Storage.Blobs;
using Azure.Storage.Blobs.Models;
using Microsoft.DurableTask.Client;
using Microsoft.Extensions.Logging;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.LocalHost.Durable;

/// <summary>An instance and the version of the blob it was last read from or written to; none before its first write.</summary>
internal sealed record StoredInstance(Instance Instance, ETag? Version);

/// <summary>Keeps each instance in one blob, written whole, so that it is at every moment either before or after a step.</summary>
internal sealed class InstanceStore(BlobServiceClient blobs, LocalFunctionsOptions options, ILogger<InstanceStore> log)
{
    private const string Folder = "instances/";
    private const string Extension = ".json";
    private const string StatusKey = "status";

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        RespectNullableAnnotations = true,
        Converters = { new JsonStringEnumConverter() },
    };

    private readonly BlobContainerClient _hub = blobs.GetBlobContainerClient(options.TaskHub);

    public Task CreateIfMissingAsync(CancellationToken cancellation) =>
        _hub.CreateIfNotExistsAsync(cancellationToken: cancellation);

    public async Task<StoredInstance?> ReadAsync(string instanceId, CancellationToken cancellation)
    {
        var blob = BlobOf(instanceId);
        try
        {
            var content = (await blob.DownloadContentAsync(cancellation)).Value;
            var instance = content.Content.ToObjectFromJson<Instance>(Json)
                ?? throw new JsonException("The blob holds the word null.");
            return new(instance, content.Details.ETag);
        }
        catch (RequestFailedException missing) when (missing.Status == 404)
        {
            return null;
        }
        catch (Exception corrupt) when (corrupt is JsonException or NotSupportedException)
        {
            throw new InvalidDataException(
                $"Blob '{_hub.Name}/{blob.Name}' is not an orchestration instance: {corrupt.Message} Delete it to free the instance id.",
                corrupt);
        }
    }

    /// <summary>All readable instances whose status passes; an unreadable one is logged by name and left out.</summary>
    public async IAsyncEnumerable<StoredInstance> ReadAllAsync(
        Func<OrchestrationRuntimeStatus, bool> statusPasses,
        string? idPrefix = null,
        [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        var prefix = Folder + Uri.EscapeDataString(idPrefix ?? "");
        await foreach (var blob in _hub.GetBlobsAsync(BlobTraits.Metadata, BlobStates.None, prefix, cancellation))
        {
            if (!blob.Name.EndsWith(Extension, StringComparison.Ordinal))
                continue;
            // Finished instances pile up; the status in the metadata spares reading them.
            if (blob.Metadata.TryGetValue(StatusKey, out var text)
                && Enum.TryParse<OrchestrationRuntimeStatus>(text, out var status)
                && !statusPasses(status))
                continue;
            StoredInstance? stored = null;
            try
            {
                stored = await ReadAsync(IdOf(blob.Name), cancellation);
            }
            catch (InvalidDataException corrupt)
            {
                log.LogError(corrupt, "Left out an unreadable instance: {Problem}", corrupt.Message);
            }
            if (stored is not null && statusPasses(stored.Instance.Status))
                yield return stored;
        }
    }

    /// <summary>Writes the instance over the version it was made from.</summary>
    /// <exception cref="SecondHostException">The blob is no longer that version.</exception>
    public async Task<StoredInstance> WriteAsync(Instance instance, ETag? over, CancellationToken cancellation)
    {
        var blob = BlobOf(instance.InstanceId);
        var content = BinaryData.FromObjectAsJson(instance, Json);
        var upload = new BlobUploadOptions
        {
            HttpHeaders = new() { ContentType = "application/json" },
            Metadata = new Dictionary<string, string> { [StatusKey] = instance.Status.ToString() },
            Conditions = over is null ? new() { IfNoneMatch = ETag.All } : new() { IfMatch = over },
        };
        try
        {
            return new(instance, (await blob.UploadAsync(content, upload, cancellation)).Value.ETag);
        }
        catch (RequestFailedException conflict) when (conflict.Status is 404 or 409 or 412)
        {
            // A write whose answer got lost is sent again and then meets itself.
            if (await blob.ExistsAsync(cancellation)
                && (await blob.DownloadContentAsync(cancellation)).Value is var current
                && current.Content.ToMemory().Span.SequenceEqual(content))
                return new(instance, current.Details.ETag);
            throw new SecondHostException(
                $"Blob '{_hub.Name}/{blob.Name}' was changed or removed by another process. Only one local host may work on a task hub: "
                + "stop the other one, or give this one another task hub.",
                conflict);
        }
    }

    public async Task<bool> DeleteAsync(string instanceId, CancellationToken cancellation) =>
        await BlobOf(instanceId).DeleteIfExistsAsync(cancellationToken: cancellation);

    private BlobClient BlobOf(string instanceId) => _hub.GetBlobClient($"{Folder}{Uri.EscapeDataString(instanceId)}{Extension}");

    private static string IdOf(string blobName) => Uri.UnescapeDataString(blobName[Folder.Length..^Extension.Length]);
}

/// <summary>Somebody else writes to this host's task hub; going on would run work twice and lose some.</summary>
internal sealed class SecondHostException(string message, Exception inner) : UserErrorException(message, inner);
