using System.Text;
using RlhfFunctions.Contracts;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Runs;

/// <summary>What a worker keeps in memory of a run is of use as long as it is what lies in storage: a run that was deleted may come again under its id.</summary>
public sealed class RunMemoryTests(AzuriteFixture azurite)
{
    [Fact]
    public async Task What_comes_again_under_the_same_path_is_read_again()
    {
        var blobs = new BlobFiles(azurite.Blobs);
        var artifacts = new ArtifactStore(blobs);
        var (checkpoints, datasets) = (new Checkpoints(artifacts, blobs), new Datasets(artifacts));
        string id = $"again-{Guid.NewGuid():n}";
        foreach (string text in new[] { "first", "other" })
        {
            await MakeAsync(BlobPaths.Checkpoint(id, 0), "state.json", Encoding.UTF8.GetBytes(text));
            await MakeAsync(BlobPaths.Dataset(id), PreparedDataset.FileName, new PreparedDataset([new PreparedDialogue(text, text, text, [1])], []).ToBytes());
            var files = await checkpoints.ReadAsync(id, 0, CancellationToken.None);
            Assert.Equal(text, Encoding.UTF8.GetString(files["state.json"]));
            Assert.Same(files, await checkpoints.ReadAsync(id, 0, CancellationToken.None));
            var dataset = await datasets.GetAsync(BlobPaths.Dataset(id), CancellationToken.None);
            Assert.Equal(text, Assert.Single(dataset.Train).Id);
            Assert.Same(dataset, await datasets.GetAsync(BlobPaths.Dataset(id), CancellationToken.None));
            await artifacts.DeleteAsync(BlobPaths.Run(id), CancellationToken.None);
        }

        Task MakeAsync(string path, string name, byte[] content)
        {
            return artifacts.MakeOnceAsync(
                path, _ => Task.FromResult(new NewArtifact<string>(new Dictionary<string, byte[]> { [name] = content }, path)), CancellationToken.None);
        }
    }
}
