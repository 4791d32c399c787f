using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using RlhfFunctions.Activities;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.EndToEnd;
using RlhfFunctions.Hosting;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Activities;

/// <summary>The activities by themselves: delivered twice, or to two hosts at once, they change nothing.</summary>
[Collection(BlobPaths.LatestAdapter)]
public sealed class RedeliveryTests(AzuriteFixture azurite) : IDisposable
{
    private readonly string _cache = Directory.CreateTempSubdirectory("rlhf-models-").FullName;

    [Fact]
    public async Task A_step_delivered_twice_and_to_another_host_gives_the_same_bytes_once()
    {
        using var host = Services();
        using var otherHost = Services();
        var request = TinyRun.Request($"twice-{Guid.NewGuid():n}");
        Assert.True(await host.GetRequiredService<RunRequests>().TryRecordAsync(request, CancellationToken.None));
        var prepared = await PrepareAsync(host, request);

        var shards = new List<RolloutShardResult>();
        for (int shard = 0; shard < 2; shard++)
        {
            var input = new RolloutShardInput(request.RunId!, prepared, Step: 0, shard);
            var results = await Task.WhenAll(Task.Run(() => RollOut(host, input)), Task.Run(() => RollOut(otherHost, input)));
            Assert.Equal(results[0], results[1]);
            Assert.Equal(results[0], await RollOut(host, input));
            shards.Add(results[0]);
        }

        var update = new PpoUpdateInput(request.RunId!, prepared, Step: 0, shards);
        var report = await Update(host, update);
        var artifacts = host.GetRequiredService<ArtifactStore>();
        var files = await artifacts.ReadFilesAsync(BlobPaths.Checkpoint(request.RunId!, 1), CancellationToken.None);
        Assert.Equal(report, await Update(otherHost, update));
        var again = await artifacts.ReadFilesAsync(BlobPaths.Checkpoint(request.RunId!, 1), CancellationToken.None);
        Assert.Equal(files.Keys.Order(), again.Keys.Order());
        Assert.All(files, file => Assert.Equal(file.Value, again[file.Key]));
    }

    [Fact]
    public async Task The_nightly_evaluation_measures_the_adapter_that_serves_once_a_day()
    {
        using var host = Services();
        var blobs = host.GetRequiredService<BlobFiles>();
        var request = TinyRun.Request($"night-{Guid.NewGuid():n}");
        await host.GetRequiredService<RunRequests>().TryRecordAsync(request, CancellationToken.None);
        var latest = new LatestAdapter(request.RunId!, await PrepareAsync(host, request), Step: 0, DateTimeOffset.UnixEpoch);
        await blobs.ReplaceAsync(BlobPaths.LatestAdapter, BinaryData.FromObjectAsJson(latest, ContractsJson.Options), CancellationToken.None);

        var input = new NightlyEvaluationInput($"2026-{Guid.NewGuid():n}");
        var nightly = ActivatorUtilities.CreateInstance<EvaluateLatest>(host);
        var first = await nightly.Run(input, CancellationToken.None);
        Assert.NotNull(first);
        Assert.InRange(first.HateProbability, 0, 1);
        Assert.Equal(BlobPaths.NightlyEvaluation(input.Date), first.Path);
        Assert.Equal(first, await nightly.Run(input, CancellationToken.None));
    }

    public void Dispose()
    {
        Directory.Delete(_cache, recursive: true);
    }

    private static async Task<PreparedRun> PrepareAsync(ServiceProvider host, RunRequest request)
    {
        var models = new List<string>();
        foreach (string source in new[] { request.Model.Source, request.Reward!.Classifiers.Single().Source, request.Evaluation.Judge })
            models.Add(await ActivatorUtilities.CreateInstance<PrepareModel>(host).Run(new PrepareModelInput(source), CancellationToken.None));
        await ActivatorUtilities.CreateInstance<PrepareAdapter>(host).Run(new PrepareAdapterInput(request.RunId!, models[0]), CancellationToken.None);
        string dataset = await ActivatorUtilities.CreateInstance<PrepareDataset>(host)
            .Run(new PrepareDatasetInput(request.RunId!, models[0]), CancellationToken.None);
        return new PreparedRun(models[0], [models[1]], models[2], dataset);
    }

    private static Task<RolloutShardResult> RollOut(ServiceProvider host, RolloutShardInput input)
    {
        return ActivatorUtilities.CreateInstance<RolloutShard>(host).Run(input, CancellationToken.None);
    }

    private static Task<StepReport> Update(ServiceProvider host, PpoUpdateInput input)
    {
        return ActivatorUtilities.CreateInstance<PpoUpdate>(host).Run(input, CancellationToken.None);
    }

    /// <summary>A host's services, with nothing in memory that another host has.</summary>
    private ServiceProvider Services()
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["AzureWebJobsStorage"] = azurite.ConnectionString,
            ["RlhfFileRoot"] = Repository.Root,
            ["RlhfCache"] = _cache,
        }).Build();
        return new ServiceCollection().AddRlhf(configuration).BuildServiceProvider();
    }
}
