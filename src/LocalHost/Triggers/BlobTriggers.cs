using System.Security.Cryptography;
using System.Text;
using Azure.Storage.Blobs;
using Azure.Storage.Blobs.Models;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.LocalHost.Triggers;

/// <summary>
/// Fires blob functions once per version of a blob, by looking through the container and leaving a receipt for each
/// version done. EventGrid is polled for as well, and the connection is always the host's own: there is one storage.
/// </summary>
internal sealed class BlobTriggers(
    FunctionCatalog functions,
    BlobServiceClient blobs,
    LocalFunctionsOptions options,
    ILogger<BlobTriggers> log) : BackgroundService
{
    /// <summary>As in Azure: after so many failures the blob is set aside.</summary>
    private const int MaxAttempts = 5;

    public static readonly Type[] ParameterTypes = [typeof(BlobClient), typeof(Stream), typeof(string), typeof(byte[])];

    private readonly BlobContainerClient _hub = blobs.GetBlobContainerClient(options.TaskHub);

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        from found in functions.With<BlobTriggerAttribute>()
        select WatchAsync(found.Function, new(found.Trigger.BlobPath), stoppingToken));

    private async Task WatchAsync(LocalFunction function, BlobPattern pattern, CancellationToken stopping)
    {
        HashSet<string>? receipts = null;
        while (true)
        {
            try
            {
                receipts ??= await ReadReceiptsAsync(function, stopping);
                await ScanAsync(function, pattern, receipts, stopping);
            }
            catch (Exception problem) when (!stopping.IsCancellationRequested)
            {
                log.LogError(problem, "Could not look through container '{Container}'; trying again.", pattern.Container);
            }
            await Task.Delay(options.BlobPollInterval, stopping);
        }
    }

    private async Task ScanAsync(LocalFunction function, BlobPattern pattern, HashSet<string> receipts, CancellationToken stopping)
    {
        var container = blobs.GetBlobContainerClient(pattern.Container);
        await container.CreateIfNotExistsAsync(cancellationToken: stopping);
        await foreach (var blob in container.GetBlobsAsync(cancellationToken: stopping))
        {
            var receipt = ReceiptOf(function, blob.Name, blob.Properties.ETag.ToString()!);
            if (receipts.Contains(receipt) || pattern.Match(blob.Name) is not { } data)
                continue;
            var isDone = await RunAsync(function, container.GetBlobClient(blob.Name), data, stopping);
            await _hub.GetBlobClient(receipt).UploadAsync(
                BinaryData.FromObjectAsJson(new { blob = blob.Name, outcome = isDone ? "done" : "poison" }), overwrite: true, stopping);
            receipts.Add(receipt);
        }
    }

    private async Task<bool> RunAsync(
        LocalFunction function, BlobClient blob, IReadOnlyDictionary<string, object?> data, CancellationToken stopping)
    {
        for (var attempt = 1; attempt <= MaxAttempts; attempt++)
        {
            try
            {
                await functions.InvokeAsync(function, await OpenAsync(blob, function.TriggerType, stopping), data, stopping);
                return true;
            }
            catch (Exception problem) when (!stopping.IsCancellationRequested)
            {
                log.LogError(problem, "Blob function {Function} failed on '{Container}/{Blob}', attempt {Attempt} of {MaxAttempts}.",
                    function.Name, blob.BlobContainerName, blob.Name, attempt, MaxAttempts);
            }
        }
        log.LogError("Blob '{Container}/{Blob}' is set aside; write it again to have it tried again.", blob.BlobContainerName, blob.Name);
        return false;
    }

    private static async Task<object> OpenAsync(BlobClient blob, Type type, CancellationToken cancellation)
    {
        if (type == typeof(BlobClient))
            return blob;
        var content = (await blob.DownloadContentAsync(cancellation)).Value.Content;
        return type == typeof(string) ? content.ToString() : type == typeof(byte[]) ? content.ToArray() : content.ToStream();
    }

    private async Task<HashSet<string>> ReadReceiptsAsync(LocalFunction function, CancellationToken cancellation) =>
        await _hub.GetBlobsAsync(new GetBlobsOptions { Prefix = FolderOf(function) }, cancellation)
            .Select(receipt => receipt.Name).ToHashSetAsync(cancellationToken: cancellation);

    private static string FolderOf(LocalFunction function) => $"blobreceipts/{function.Name}/";

    private static string ReceiptOf(LocalFunction function, string blobName, string version) =>
        FolderOf(function) + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{blobName}\n{version}")));
}
