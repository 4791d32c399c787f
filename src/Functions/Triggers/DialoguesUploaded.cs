using System.Security.Cryptography;
using System.Text;
using Azure.Storage.Blobs;
using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask.Client;
using RlhfFunctions.Contracts;
using RlhfFunctions.Hosting;

namespace RlhfFunctions.Triggers;

/// <summary>Dialogues uploaded to the container dialogues are summarised into summaries/{name}.json.</summary>
public static class DialoguesUploaded
{
    [Function(FunctionNames.DialoguesUploaded)]
    public static async Task Run(
        [BlobTrigger(BlobPaths.Dialogues + "/{name}", Source = BlobTriggerSource.LogsAndContainerScan)] BlobClient blob,
        string name,
        [DurableClient] DurableTaskClient client,
        CancellationToken cancellation)
    {
        if (!await blob.ExistsAsync(cancellation)) return; // deleted since
        string etag = (await blob.GetPropertiesAsync(cancellationToken: cancellation)).Value.ETag.ToString();
        string version = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{name}\n{etag}")))[..16];
        await client.StartOnceAsync(
            FunctionNames.SummarizeDialogues, $"summarize-{version}", new SummarizeDialoguesInput(name, etag), cancellation);
    }
}
