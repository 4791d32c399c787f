using System.Text.RegularExpressions;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Storage;

/// <summary>How old what nobody names must be to be swept.</summary>
public sealed record SweepAge(TimeSpan Value);

/// <summary>
/// Deletes what is left of attempts that were killed or lost a race, and of imports that were given up: blobs that no manifest names
/// and that have not been written for long, by the storage's clock.
/// </summary>
public sealed partial class StorageSweep(BlobFiles blobs, ArtifactStore artifacts, SweepAge age)
{
    /// <returns>How many blobs were deleted.</returns>
    public async Task<int> RunAsync(CancellationToken cancellation)
    {
        return await SweepAsync(BlobPaths.Runs, holdsModels: false, cancellation)
            + await SweepAsync(BlobPaths.Evaluations, holdsModels: false, cancellation)
            + await SweepAsync(BlobPaths.Campaigns, holdsModels: false, cancellation)
            + await SweepAsync(BlobPaths.Rewards, holdsModels: false, cancellation)
            + await SweepAsync(BlobPaths.Models, holdsModels: true, cancellation);
    }

    internal async Task<int> SweepAsync(string container, bool holdsModels, CancellationToken cancellation)
    {
        var before = await blobs.ReadClockAsync(cancellation) - age.Value;
        var listed = await blobs.ListAsync(container + "/", cancellation);
        var abandoned = holdsModels ? await AbandonedAsync(listed, before, cancellation) : [];
        var orphans = await OrphansAsync(listed.Where(blob => blob.LastModified < before), cancellation);
        string[] swept = [.. abandoned.Concat(orphans).Distinct()];
        foreach (string path in swept) await blobs.DeleteAsync(path, cancellation);
        return swept.Length;
    }

    /// <summary>Files of attempts that no manifest names, neither the artefact's own nor that of one which holds it.</summary>
    private async Task<List<string>> OrphansAsync(IEnumerable<ListedBlob> old, CancellationToken cancellation)
    {
        var named = new Dictionary<string, HashSet<string>?>();
        var orphans = new List<string>();
        foreach (string path in old.Select(blob => blob.Path))
        {
            if (Attempt().Match(path) is not { Success: true } attempt) continue;
            bool isNamed = false;
            for (string folder = attempt.Groups[1].Value; !isNamed && folder.Contains('/', StringComparison.Ordinal); folder = folder[..folder.LastIndexOf('/')])
            {
                if (!named.TryGetValue(folder, out var blobsOf)) named[folder] = blobsOf = await NamedByAsync(folder, cancellation);
                isNamed = blobsOf is null || blobsOf.Contains(path);
            }

            if (!isNamed) orphans.Add(path);
        }

        return orphans;
    }

    /// <summary>What a manifest names; null where it cannot be read and might name anything.</summary>
    private async Task<HashSet<string>?> NamedByAsync(string folder, CancellationToken cancellation)
    {
        try
        {
            return (await artifacts.FindAsync<object>(folder, cancellation))?.Files.Select(file => file.Blob).ToHashSet() ?? [];
        }
        catch (CorruptArtifactException)
        {
            return null;
        }
    }

    /// <summary>All blobs of models whose import began and never ended, manifests first: what is left of an artefact is none.</summary>
    private async Task<List<string>> AbandonedAsync(IEnumerable<ListedBlob> listed, DateTimeOffset before, CancellationToken cancellation)
    {
        var abandoned = new List<string>();
        foreach (var model in listed.GroupBy(blob => string.Join('/', blob.Path.Split('/').Take(2))))
        {
            if (model.Any(blob => blob.LastModified >= before || blob.Path == $"{model.Key}/manifest.json")) continue;
            if (await artifacts.FindAsync<object>(model.Key, cancellation) is not null) continue; // ended since it was listed
            if (await blobs.FindChangeTimeAsync(BlobPaths.ImportMark(model.Key), cancellation) >= before) continue; // goes on since then
            abandoned.AddRange(model.Select(blob => blob.Path).OrderBy(path => !path.EndsWith("/manifest.json", StringComparison.Ordinal)));
        }

        return abandoned;
    }

    [GeneratedRegex("^(.+)/[0-9a-f]{32}/[^/]+$")]
    private static partial Regex Attempt();
}
