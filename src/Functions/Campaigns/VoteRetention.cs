using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Campaigns;

/// <summary>How long votes are kept after the last one; null: until somebody deletes them.</summary>
public sealed record VoteAge(TimeSpan? Value);

/// <summary>
/// Forgets what people said when it is old: campaigns in which nothing has happened for long, and what reward models learnt from. A
/// trained reward model stays, and so does what it was asked for.
/// </summary>
public sealed class VoteRetention(BlobFiles blobs, VoteAge age)
{
    /// <returns>How many blobs were deleted.</returns>
    public async Task<int> RunAsync(CancellationToken cancellation)
    {
        return await ForgetAsync(BlobPaths.Campaigns, keepsRequests: false, cancellation) + await ForgetAsync(BlobPaths.Rewards, keepsRequests: true, cancellation);
    }

    internal async Task<int> ForgetAsync(string container, bool keepsRequests, CancellationToken cancellation)
    {
        if (age.Value is not { } kept) return 0;
        var before = await blobs.ReadClockAsync(cancellation) - kept;
        int deleted = 0;
        foreach (var folder in (await blobs.ListAsync($"{container}/", cancellation)).GroupBy(blob => blob.Path.Split('/')[1]))
        {
            if (folder.Any(blob => blob.LastModified >= before)) continue;
            string request = $"{container}/{folder.Key}/request.json";
            // Manifests first, for an artefact is whole or not there; the request last, for with it there is a campaign.
            var paths = folder.Select(blob => blob.Path).Where(path => !keepsRequests || path != request)
                .OrderBy(path => path == request ? 2 : path.EndsWith("/manifest.json", StringComparison.Ordinal) ? 0 : 1).ToArray();
            foreach (string path in paths) await blobs.DeleteAsync(path, cancellation);
            deleted += paths.Length;
        }

        return deleted;
    }
}
