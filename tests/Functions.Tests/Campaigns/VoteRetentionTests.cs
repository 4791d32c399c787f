using RlhfFunctions.Campaigns;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Campaigns;

/// <summary>What people said goes when it is old, where the app is told to forget, and whole.</summary>
public sealed class VoteRetentionTests(AzuriteFixture azurite)
{
    private static readonly TimeSpan EverythingIsOld = TimeSpan.FromDays(-1), NothingIsOld = TimeSpan.FromDays(1);

    private readonly BlobFiles _blobs = new(azurite.Blobs);
    private readonly string _container = AzuriteFixture.NewContainerName();

    [Fact]
    public async Task Only_what_is_old_is_forgotten_and_only_where_that_is_set()
    {
        string[] paths = ["one/pairs/0000/manifest.json", "one/request.json", "one/votes/ann.jsonl", "two/request.json", "two/preferences/gold.json"];
        foreach (string path in paths) await _blobs.ReplaceAsync($"{_container}/{path}", BinaryData.FromString("x"), CancellationToken.None);

        Assert.Equal(0, await ForgetAsync(null, keepsRequests: false));
        Assert.Equal(0, await ForgetAsync(NothingIsOld, keepsRequests: false));
        Assert.Equal(paths.Order(), await ListAsync());
        Assert.Equal(3, await ForgetAsync(EverythingIsOld, keepsRequests: true));
        Assert.Equal(["one/request.json", "two/request.json"], await ListAsync());
        Assert.Equal(2, await ForgetAsync(EverythingIsOld, keepsRequests: false));
        Assert.Empty(await ListAsync());
    }

    private Task<int> ForgetAsync(TimeSpan? age, bool keepsRequests)
    {
        return new VoteRetention(_blobs, new VoteAge(age)).ForgetAsync(_container, keepsRequests, CancellationToken.None);
    }

    private async Task<string[]> ListAsync()
    {
        return [.. (await _blobs.ListAsync(_container + "/", CancellationToken.None)).Select(blob => blob.Path[(_container.Length + 1)..])];
    }
}
