using RlhfFunctions.Activities;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.Activities;
using RlhfFunctions.Functions.Tests.EndToEnd;
using RlhfFunctions.Runs;
using RlhfFunctions.Serving;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Storage;

/// <summary>A blob that is cut short, changed or deleted is named by whoever needs it, and keeps nobody else from being listed.</summary>
[Collection(BlobPaths.LatestAdapter)]
public sealed class DamagedBlobTests(DamagedBlobTests.MadeRun made) : IClassFixture<DamagedBlobTests.MadeRun>
{
    public enum Damage
    {
        CutShort,
        Changed,
        Deleted,
    }

    [Fact]
    public async Task One_blob_of_each_kind()
    {
        // The kind is the path without what differs from run to run: ids, attempts and numbers.
        var one = made.Blobs.GroupBy(path => string.Join('/', path.Split('/').Skip(2).Where(part => part.Length != 32 && !part.All(char.IsAsciiDigit))))
            .Select(kind => kind.Last()).ToList();
        Assert.True(one.Count >= 20, string.Join('\n', one));
        await DamageAsync(one);
    }

    [Fact]
    [Trait("Category", "Slow")]
    public Task Every_blob_of_a_run()
    {
        return DamageAsync(made.Blobs);
    }

    private async Task DamageAsync(IEnumerable<string> paths)
    {
        foreach (string path in paths)
        {
            var blob = await made.Host.Get<BlobFiles>().BlobAsync(path);
            byte[] content = (await blob.DownloadContentAsync()).Value.Content.ToArray();
            foreach (var damage in Enum.GetValues<Damage>())
            {
                if (damage == Damage.Deleted) await blob.DeleteAsync();
                else await blob.UploadAsync(BinaryData.FromBytes(damage == Damage.CutShort ? content[..^1] : [(byte)(content[0] ^ 1), .. content[1..]]), overwrite: true);
                var named = await Record.ExceptionAsync(() => made.UseAsync(path));
                Assert.True(named is CorruptArtifactException, $"{path} {damage}: {named}");
                Assert.Contains(path, named.Message, StringComparison.Ordinal);
                Assert.DoesNotContain("Exception", named.Message, StringComparison.Ordinal);
                await made.Host.Get<RunRequests>().ListAsync(CancellationToken.None);
                var adapters = await made.Host.Get<PublishedAdapters>().ListAsync(CancellationToken.None);
                Assert.Contains(made.Other, adapters.Adapters.Select(adapter => adapter.RunId));
                await blob.UploadAsync(BinaryData.FromBytes(content), overwrite: true);
            }
        }

        foreach (string path in paths) await made.UseAsync(path); // whole again
    }

    /// <summary>A run of one step with all it leaves behind, and beside it another finished one.</summary>
    public sealed class MadeRun(AzuriteFixture azurite) : IAsyncLifetime
    {
        private readonly string _cache = Directory.CreateTempSubdirectory("rlhf-damaged-").FullName;
        private PreparedRun _prepared = null!;

        internal ActivityHost Host { get; } = new(azurite);

        public string Id { get; } = $"damaged-{Guid.NewGuid():n}";

        public string Other { get; } = $"other-{Guid.NewGuid():n}";

        public IReadOnlyList<string> Blobs { get; private set; } = [];

        public async ValueTask InitializeAsync()
        {
            var request = TinyRun.Request(Id, steps: 1) with { Compute = new ComputeSettings { RolloutShards = 1 } };
            _prepared = await Host.PrepareAsync(request);
            await Host.New<Evaluate>().Run(new EvaluateInput(Id, _prepared, Step: 0), CancellationToken.None);
            var shard = await Host.New<RolloutShard>().Run(new RolloutShardInput(Id, _prepared, 0, 0), CancellationToken.None);
            await Host.New<PpoUpdate>().Run(new PpoUpdateInput(Id, _prepared, 0, [shard]), CancellationToken.None);
            await Host.New<Evaluate>().Run(new EvaluateInput(Id, _prepared, Step: 1), CancellationToken.None);
            await Host.New<PublishAdapter>().Run(new PublishAdapterInput(Id, _prepared, 1, new RunTimings(1, 1, 1, 1), 5), CancellationToken.None);

            // A model of its own: others use the samples' meanwhile.
            var files = new Dictionary<string, byte[]> { ["config.json"] = [1, 2], ["model.safetensors"] = [3, 4] };
            await Host.Get<ArtifactStore>().MakeOnceAsync(
                BlobPaths.Model(Id), _ => Task.FromResult(new NewArtifact<string>(files, BlobPaths.Model(Id))), CancellationToken.None);

            await Host.Get<RunRequests>().TryRecordAsync(TinyRun.Request(Other), CancellationToken.None);
            var outcome = new RunOutcome(Other, 0.5, 0.1, Published: false, _prepared, Steps: 1);
            await Host.Get<ArtifactStore>().PublishOnceAsync(
                BlobPaths.Run(Other), _ => Task.FromResult(new NewArtifact<RunOutcome>(files, outcome)), CancellationToken.None);
            await Host.Get<BlobFiles>().ReplaceAsync(
                BlobPaths.LatestAdapter,
                BinaryData.FromObjectAsJson(new LatestAdapter(Id, _prepared, 1, DateTimeOffset.UnixEpoch), ContractsJson.Options),
                CancellationToken.None);
            Blobs =
            [
                .. (await Host.SnapshotAsync($"{BlobPaths.Run(Id)}/")).Keys,
                .. (await Host.SnapshotAsync($"{BlobPaths.Model(Id)}/")).Keys,
            ];
        }

        /// <summary>Reads what a blob belongs to, as the app does, with nothing kept in memory or on disk.</summary>
        public async Task UseAsync(string path)
        {
            var artifacts = Host.Get<ArtifactStore>();
            if (path == BlobPaths.Request(Id))
            {
                await Host.Get<RunRequests>().GetAsync(Id, CancellationToken.None);
            }
            else if (path.StartsWith(BlobPaths.Models, StringComparison.Ordinal))
            {
                var folders = new ModelFolders(artifacts, new ModelCacheFolder(Path.Combine(_cache, Guid.NewGuid().ToString("n"))));
                await folders.FetchAsync(BlobPaths.Model(Id), CancellationToken.None);
            }
            else if (path.StartsWith(BlobPaths.Dataset(Id), StringComparison.Ordinal))
            {
                await new Datasets(artifacts).GetAsync(BlobPaths.Dataset(Id), CancellationToken.None);
            }
            else if (path.StartsWith(BlobPaths.Metrics(Id, 0), StringComparison.Ordinal))
            {
                await new StepMetrics(artifacts).ReadAsync(Id, ..1, CancellationToken.None);
            }
            else if (path.StartsWith(BlobPaths.Checkpoints(Id), StringComparison.Ordinal))
            {
                int step = path.StartsWith(BlobPaths.Checkpoint(Id, 1), StringComparison.Ordinal) ? 1 : 0;
                await new Checkpoints(artifacts, Host.Get<BlobFiles>()).ReadAsync(Id, step, CancellationToken.None);
            }
            else
            {
                string[] roots = [BlobPaths.Rollout(Id, 0, 0), BlobPaths.Measurement(Id, 0), BlobPaths.Measurement(Id, 1), BlobPaths.Run(Id)];
                await artifacts.ReadFilesAsync(roots.First(root => path.StartsWith($"{root}/", StringComparison.Ordinal)), CancellationToken.None);
            }
        }

        public ValueTask DisposeAsync()
        {
            Host.Dispose();
            Directory.Delete(_cache, recursive: true);
            return ValueTask.CompletedTask;
        }
    }
}
