using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Storage;

/// <summary>What nobody names goes when it is old, and nothing else does.</summary>
public sealed class StorageSweepTests(AzuriteFixture azurite)
{
    private static readonly TimeSpan EverythingIsOld = TimeSpan.FromDays(-1), NothingIsOld = TimeSpan.FromDays(1);

    private readonly BlobFiles _blobs = new(azurite.Blobs);
    private readonly string _container = AzuriteFixture.NewContainerName();

    private ArtifactStore Store => new(_blobs);

    [Fact]
    public async Task Of_attempts_only_what_no_manifest_names_is_swept()
    {
        string whole = $"{_container}/run/whole", attempt = Guid.NewGuid().ToString("n");
        await MakeAsync(whole);
        await WriteAsync($"{whole}/{attempt}/lost.bin");
        await WriteAsync($"{_container}/run/unfinished/{attempt}/state.json");
        await WriteAsync($"{_container}/run/request.json");
        await WriteAsync($"{_container}/run/report.html");
        await WriteAsync($"{_container}/run/damaged/manifest.json");
        await WriteAsync($"{_container}/run/damaged/{attempt}/may.bin"); // its manifest might name it
        string[] before = await ListAsync();

        Assert.Equal(0, await SweepAsync(NothingIsOld, holdsModels: false));
        Assert.Equal(before, await ListAsync());
        Assert.Equal(2, await SweepAsync(EverythingIsOld, holdsModels: false));
        Assert.Equal(before.Where(path => !path.EndsWith("lost.bin", StringComparison.Ordinal) && !path.EndsWith("state.json", StringComparison.Ordinal)), await ListAsync());
        Assert.Equal(0, await SweepAsync(EverythingIsOld, holdsModels: false));
    }

    [Fact]
    public async Task Of_imports_those_that_were_given_up_are_swept_and_what_a_model_names_stays()
    {
        foreach (string model in new[] { "whole", "abandoned" })
        {
            await MakeAsync($"{_container}/{model}/files/config.json");
            await _blobs.ReplaceAsync(BlobPaths.ImportMark($"{_container}/{model}"), BinaryData.FromString(""), CancellationToken.None);
        }

        var file = (await Store.GetAsync<string>($"{_container}/whole/files/config.json", CancellationToken.None)).Files.Single();
        await Store.MakeOnceAsync(
            $"{_container}/whole",
            _ => Task.FromResult(new NewArtifact<string>(new Dictionary<string, byte[]>(), "") { Stored = [file] }),
            CancellationToken.None);
        // Even where the file's own manifest is lost, the model's names it.
        await _blobs.DeleteAsync($"{_container}/whole/files/config.json/manifest.json", CancellationToken.None);
        string[] before = await ListAsync();

        Assert.Equal(0, await SweepAsync(NothingIsOld, holdsModels: true));
        Assert.Equal(3, await SweepAsync(EverythingIsOld, holdsModels: true));
        Assert.Equal(before.Where(path => path.StartsWith($"{_container}/whole/", StringComparison.Ordinal)), await ListAsync());
    }

    [Fact]
    public async Task Only_the_storage_says_what_time_it_is()
    {
        var now = await _blobs.ReadClockAsync(CancellationToken.None);
        await WriteAsync($"{_container}/blob");
        Assert.InRange((await _blobs.FindChangeTimeAsync($"{_container}/blob", CancellationToken.None))!.Value, now, now.AddMinutes(1));

        // A clock of this machine's that is a day off can change nothing where it is never asked.
        foreach (string room in new[] { "Storage", "Runs", "Compute", "Serving", "Activities", "Orchestration" })
        {
            foreach (string file in Directory.GetFiles(Path.Combine(Repository.Root, "src", "Functions", room), "*.cs"))
                Assert.DoesNotMatch(@"\b(DateTime|DateTimeOffset)\.(Utc)?Now\b|GetUtcNow|GetLocalNow", await File.ReadAllTextAsync(file));
        }
    }

    private Task<int> SweepAsync(TimeSpan age, bool holdsModels)
    {
        return new StorageSweep(_blobs, Store, new SweepAge(age)).SweepAsync(_container, holdsModels, CancellationToken.None);
    }

    private Task MakeAsync(string path)
    {
        var files = new Dictionary<string, byte[]> { ["file"] = [1] };
        return Store.MakeOnceAsync(path, _ => Task.FromResult(new NewArtifact<string>(files, path)), CancellationToken.None);
    }

    private Task WriteAsync(string path)
    {
        return _blobs.ReplaceAsync(path, BinaryData.FromString("x"), CancellationToken.None);
    }

    private async Task<string[]> ListAsync()
    {
        return [.. (await _blobs.ListAsync(_container + "/", CancellationToken.None)).Select(blob => blob.Path)];
    }
}
