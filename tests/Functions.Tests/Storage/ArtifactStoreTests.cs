using System.Text;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Storage;

/// <summary>Whole or not at all, and once.</summary>
public sealed class ArtifactStoreTests(AzuriteFixture azurite)
{
    private readonly BlobFiles _blobs = new(azurite.Blobs);
    private readonly string _path = $"{AzuriteFixture.NewContainerName()}/artefact";

    private ArtifactStore Store => new(_blobs);

    [Fact]
    public async Task Made_once_it_is_not_made_again()
    {
        int made = 0;
        for (int delivery = 0; delivery < 3; delivery++)
            Assert.Equal("result", await Store.MakeOnceAsync(_path, _ => Task.FromResult(Artifact($"{made++}", "result")), CancellationToken.None));
        Assert.Equal(1, made);
        Assert.Equal("0", await ReadAsync());
    }

    [Fact]
    public async Task Of_attempts_that_race_one_wins_and_the_others_return_its_result_and_clean_up()
    {
        using var together = new Barrier(3);
        string[] results = await Task.WhenAll(Enumerable.Range(0, 3).Select(attempt => Task.Run(() => Store.MakeOnceAsync(
            _path,
            cancellation =>
            {
                together.SignalAndWait(cancellation);
                return Task.FromResult(Artifact($"{attempt}", $"result {attempt}"));
            },
            CancellationToken.None))));

        string winner = Assert.Single(results.Distinct());
        Assert.Equal(winner, $"result {await ReadAsync()}");
        Assert.Equal(2, await CountBlobsAsync()); // one file and the manifest
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Every_blob_of_a_rollout_has_the_tag_that_the_lifecycle_rule_looks_for_and_no_other_has(bool isRollout)
    {
        string run = $"tagged-{Guid.NewGuid():n}";
        string path = isRollout ? BlobPaths.Rollout(run, 0, 0) : BlobPaths.Checkpoint(run, 0);
        await Store.MakeOnceAsync(path, _ => Task.FromResult(Artifact("content", "result")), CancellationToken.None);
        string[] written = [(await Store.GetAsync<string>(path, CancellationToken.None)).Files.Single().Blob, $"{path}/manifest.json"];
        foreach (string blob in written)
        {
            var tags = (await (await _blobs.BlobAsync(blob)).GetTagsAsync()).Value.Tags;
            Assert.Equal(isRollout ? ["kind=rollout"] : [], tags.Select(tag => $"{tag.Key}={tag.Value}"));
        }
    }

    [Fact]
    public async Task An_attempt_that_fails_leaves_nothing_visible()
    {
        await Assert.ThrowsAsync<InvalidOperationException>(() => Store.MakeOnceAsync<string>(
            _path, _ => throw new InvalidOperationException("the GPU caught fire"), CancellationToken.None));
        Assert.Null(await Store.FindAsync<string>(_path, CancellationToken.None));
    }

    [Theory]
    [InlineData("other", "SHA-256")]
    [InlineData("longer than it was", "bytes")]
    [InlineData(null, "missing")]
    public async Task A_blob_that_is_not_what_was_written_is_named_and_not_used(string? content, string reason)
    {
        await Store.MakeOnceAsync(_path, _ => Task.FromResult(Artifact("right", "result")), CancellationToken.None);
        var file = (await Store.GetAsync<string>(_path, CancellationToken.None)).Files.Single();
        var blob = await _blobs.BlobAsync(file.Blob);
        if (content is null) await blob.DeleteAsync();
        else await blob.UploadAsync(BinaryData.FromString(content), overwrite: true);

        var error = await Assert.ThrowsAsync<CorruptArtifactException>(() => Store.ReadFilesAsync(_path, CancellationToken.None));
        Assert.Contains(file.Blob, error.Message, StringComparison.Ordinal);
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{\"files\":[]}")]
    [InlineData("{\"files\":null,\"result\":\"r\"}")]
    [InlineData("{\"files\":[],\"result\":{\"runId\":\"other kind\"}}")]
    [InlineData("{\"files\":[null],\"result\":\"r\"}")]
    [InlineData("{\"files\":[{\"name\":\"a\",\"blob\":\"PATH/a\",\"length\":1}],\"result\":\"r\"}")]
    [InlineData("{\"files\":[{\"name\":\"a\",\"blob\":\"PATH/a\",\"length\":\"1\",\"sha256\":\"SHA\"}],\"result\":\"r\"}")]
    [InlineData("{\"files\":[{\"name\":\"a\",\"blob\":\"PATH/a\",\"length\":-1,\"sha256\":\"SHA\"}],\"result\":\"r\"}")]
    [InlineData("{\"files\":[{\"name\":\"a\",\"blob\":\"PATH/a\",\"length\":1,\"sha256\":\"\"}],\"result\":\"r\"}")]
    [InlineData("{\"files\":[{\"name\":\"a\",\"blob\":\"azure-webjobs-secrets/a\",\"length\":1,\"sha256\":\"SHA\"}],\"result\":\"r\"}")]
    [InlineData("{\"files\":[{\"name\":\"a\",\"blob\":\"PATH/../a\",\"length\":1,\"sha256\":\"SHA\"}],\"result\":\"r\"}")]
    public async Task What_is_no_manifest_of_this_artefact_is_named_and_is_none(string content)
    {
        await PlantManifestAsync(content);
        var error = await Assert.ThrowsAsync<CorruptArtifactException>(() => Store.FindAsync<string>(_path, CancellationToken.None));
        Assert.Contains($"{_path}/manifest.json", error.Message, StringComparison.Ordinal);
        Assert.Equal("again", await Store.MakeOnceAsync(_path, _ => Task.FromResult(Artifact("again", "again")), CancellationToken.None));
    }

    [Theory]
    [InlineData("../out")]
    [InlineData("..")]
    [InlineData(".")]
    [InlineData("")]
    [InlineData("/etc/passwd")]
    [InlineData("a/../../out")]
    [InlineData("a//b")]
    [InlineData("a\\\\b")]
    [InlineData("c:b")]
    [InlineData("a\\u0000")]
    public async Task A_name_that_leads_out_of_its_folder_is_no_files_name(string name)
    {
        await PlantManifestAsync($"{{\"files\":[{{\"name\":\"{name}\",\"blob\":\"PATH/a\",\"length\":1,\"sha256\":\"SHA\"}}],\"result\":\"r\"}}");
        var error = await Assert.ThrowsAsync<CorruptArtifactException>(() => Store.GetAsync<string>(_path, CancellationToken.None));
        Assert.Contains("no plain name", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_manifest_that_names_a_file_twice_is_none()
    {
        const string File = "{\"name\":\"a\",\"blob\":\"PATH/a\",\"length\":1,\"sha256\":\"SHA\"}";
        await PlantManifestAsync($"{{\"files\":[{File},{File.Replace("\"a\"", "\"A\"", StringComparison.Ordinal)}],\"result\":\"r\"}}");
        await Assert.ThrowsAsync<CorruptArtifactException>(() => Store.GetAsync<string>(_path, CancellationToken.None));
    }

    [Fact]
    public async Task A_model_whose_manifest_has_folders_is_not_copied_to_disk()
    {
        string cache = Directory.CreateTempSubdirectory("rlhf-names-").FullName;
        await PlantManifestAsync("{\"files\":[{\"name\":\"folder/a\",\"blob\":\"PATH/a\",\"length\":1,\"sha256\":\"SHA\"}],\"result\":\"r\"}");
        await Assert.ThrowsAsync<CorruptArtifactException>(() => new ModelFolders(Store, new ModelCacheFolder(cache)).FetchAsync(_path, CancellationToken.None));
        Assert.Empty(Directory.GetFileSystemEntries(cache));
        Directory.Delete(cache);
    }

    [Fact]
    public async Task A_download_that_fails_leaves_nothing_on_disk()
    {
        string cache = Directory.CreateTempSubdirectory("rlhf-names-").FullName;
        await Store.MakeOnceAsync(_path, _ => Task.FromResult(Artifact("right", "result")), CancellationToken.None);
        var file = (await Store.GetAsync<string>(_path, CancellationToken.None)).Files.Single();
        await _blobs.ReplaceAsync(file.Blob, BinaryData.FromString("wrong"), CancellationToken.None);
        await Assert.ThrowsAsync<CorruptArtifactException>(() => new ModelFolders(Store, new ModelCacheFolder(cache)).FetchAsync(_path, CancellationToken.None));
        Assert.Empty(Directory.GetFileSystemEntries(cache));
        Directory.Delete(cache);
    }

    [Fact]
    public async Task A_published_artefact_lies_under_plain_names()
    {
        await Store.PublishOnceAsync(_path, _ => Task.FromResult(Artifact("plain", "result")), CancellationToken.None);
        var content = await (await _blobs.BlobAsync($"{_path}/file.txt")).DownloadContentAsync();
        Assert.Equal("plain", content.Value.Content.ToString());
    }

    private static NewArtifact<string> Artifact(string content, string result)
    {
        return new NewArtifact<string>(new Dictionary<string, byte[]> { ["file.txt"] = Encoding.UTF8.GetBytes(content) }, result);
    }

    private Task PlantManifestAsync(string content)
    {
        content = content.Replace("PATH", _path, StringComparison.Ordinal).Replace("SHA", new string('0', 64), StringComparison.Ordinal);
        return _blobs.ReplaceAsync($"{_path}/manifest.json", BinaryData.FromString(content), CancellationToken.None);
    }

    private async Task<string> ReadAsync()
    {
        return Encoding.UTF8.GetString((await Store.ReadFilesAsync(_path, CancellationToken.None))["file.txt"]);
    }

    private async Task<int> CountBlobsAsync()
    {
        int count = 0;
        await foreach (var _ in azurite.Blobs.GetBlobContainerClient(_path.Split('/')[0]).GetBlobsAsync()) count++;
        return count;
    }
}
