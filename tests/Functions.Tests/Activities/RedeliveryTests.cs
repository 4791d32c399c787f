using System.Text.Json;
using RlhfFunctions.Activities;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.EndToEnd;
using RlhfFunctions.Runs;
using RlhfFunctions.Serving;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Activities;

/// <summary>Every activity by itself: delivered to two hosts at once, and then to each again, it answers the same and leaves the same blobs.</summary>
[Collection(BlobPaths.LatestAdapter)]
public sealed class RedeliveryTests(AzuriteFixture azurite) : IDisposable
{
    private readonly ActivityHost _host = new(azurite), _other = new(azurite);

    [Fact]
    public async Task Every_activity_of_a_run_delivered_twice_gives_the_same_blobs()
    {
        var request = TinyRun.Request($"twice-{Guid.NewGuid():n}", steps: 1);
        string id = request.RunId!, run = $"{BlobPaths.Run(id)}/";
        Assert.True(await _host.Get<RunRequests>().TryRecordAsync(request, CancellationToken.None));

        var models = new List<string>();
        foreach (string source in new[] { request.Model.Source, request.Reward!.Classifiers.Single().Source, request.Evaluation.Judge! })
            models.Add(await TwiceAsync(BlobPaths.Models, host => host.New<PrepareModel>().Run(new PrepareModelInput(source), CancellationToken.None)));
        await TwiceAsync(run, host => host.New<PrepareAdapter>().Run(new PrepareAdapterInput(id, models[0]), CancellationToken.None));
        string dataset = await TwiceAsync(run, host => host.New<PrepareDataset>().Run(new PrepareDatasetInput(id, models[0]), CancellationToken.None));
        var prepared = new PreparedRun(models[0], [models[1]], models[2], dataset);
        await TwiceAsync(run, host => host.New<Evaluate>().Run(new EvaluateInput(id, prepared, Step: 0), CancellationToken.None));

        var shards = new List<RolloutShardResult>();
        for (int shard = 0; shard < request.Compute.RolloutShards; shard++)
        {
            var input = new RolloutShardInput(id, prepared, Step: 0, shard);
            shards.Add(await TwiceAsync(run, host => host.New<RolloutShard>().Run(input, CancellationToken.None)));
        }

        await TwiceAsync(run, host => host.New<PpoUpdate>().Run(new PpoUpdateInput(id, prepared, Step: 0, shards), CancellationToken.None));
        await TwiceAsync(run, host => host.New<Evaluate>().Run(new EvaluateInput(id, prepared, Step: 1), CancellationToken.None));
        Assert.Equal(1, await TwiceAsync(run, host => host.New<RepairRun>().Run(new RepairRunInput(id, Step: 1), CancellationToken.None)));
        var publication = new PublishAdapterInput(id, prepared, Steps: 1, new RunTimings(1, 1, 1, 1), TotalSeconds: 5);
        await TwiceAsync(run, host => host.New<PublishAdapter>().Run(publication, CancellationToken.None));

        // What no manifest names is not there: whoever lost a race has cleaned up.
        var artifacts = _host.Get<ArtifactStore>();
        string[] paths = [.. (await _host.SnapshotAsync(run)).Keys];
        var named = new HashSet<string> { BlobPaths.Request(id) };
        foreach (string manifest in paths.Where(path => path.EndsWith("/manifest.json", StringComparison.Ordinal)))
        {
            named.Add(manifest);
            named.UnionWith((await artifacts.GetAsync<object>(manifest[..^"/manifest.json".Length], CancellationToken.None)).Files.Select(file => file.Blob));
        }

        Assert.Equal(named.Order(), paths.Order());
    }

    [Fact]
    public async Task An_update_in_shards_has_the_same_bytes_whoever_takes_them_and_however_often()
    {
        var compute = new ComputeSettings { RolloutShards = 1, UpdateShards = 3, UpdateThreads = 1 };
        var alone = TinyRun.Request($"alone-{Guid.NewGuid():n}", steps: 1) with { Compute = compute };
        var shared = alone with { RunId = $"shared-{Guid.NewGuid():n}" };
        await StepAsync(alone, isTwice: false);
        await StepAsync(shared, isTwice: true);

        var (one, other) = (_host.Get<Checkpoints>(), _other.Get<Checkpoints>());
        var expected = await one.ReadAsync(alone.RunId!, 1, CancellationToken.None);
        var files = await other.ReadAsync(shared.RunId!, 1, CancellationToken.None);
        Assert.Equal(expected.Keys.Order(), files.Keys.Order());
        Assert.All(expected.Where(file => file.Key != StepMetrics.FileName), file => Assert.Equal(file.Value, files[file.Key]));

        // What the shards handed on is gone, and a delivery that comes late brings nothing back.
        Assert.Empty((await _host.SnapshotAsync($"{BlobPaths.Update(shared.RunId!, 0)}/")).Keys);
        var blobs = await _host.SnapshotAsync($"{BlobPaths.Run(shared.RunId!)}/");
        await _host.New<GradientShard>().Run(new GradientShardInput(shared.RunId!, "models/none", 0, 1, 2), CancellationToken.None);
        Assert.True((await _host.New<OptimizerStep>().Run(new OptimizerStepInput(shared.RunId!, "models/none", 0, 1, 1), CancellationToken.None)).IsLast);
        Assert.Equal(blobs, await _host.SnapshotAsync($"{BlobPaths.Run(shared.RunId!)}/"));

        async Task StepAsync(RunRequest request, bool isTwice)
        {
            string id = request.RunId!;
            var prepared = await _host.PrepareAsync(request);
            var rollouts = await DeliverAsync(host => host.New<RolloutShard>().Run(new RolloutShardInput(id, prepared, Step: 0, Shard: 0), CancellationToken.None));
            int number = 0;
            for (bool isLast = false; !isLast; number++)
            {
                foreach (int shard in isTwice ? new[] { 2, 0, 1 } : [0, 1, 2])
                    await DeliverAsync(host => host.New<GradientShard>().Run(new GradientShardInput(id, prepared.Base, 0, number, shard), CancellationToken.None));
                isLast = (await DeliverAsync(host => host.New<OptimizerStep>().Run(new OptimizerStepInput(id, prepared.Base, 0, number, 1), CancellationToken.None))).IsLast;
            }

            Assert.Equal(4, number); // two epochs of two mini-batches
            var input = new PpoUpdateInput(id, prepared, Step: 0, [rollouts]) { OptimizerSteps = number };
            var report = await DeliverAsync(host => host.New<PpoUpdate>().Run(input, CancellationToken.None));
            Assert.Null(report.Alarm);

            Task<T> DeliverAsync<T>(Func<ActivityHost, Task<T>> deliver)
            {
                return isTwice ? TwiceAsync($"{BlobPaths.Run(id)}/", deliver) : deliver(_host);
            }
        }
    }

    [Fact]
    public async Task The_nightly_activities_measure_the_adapter_that_serves_once_a_day()
    {
        var request = TinyRun.Request($"night-{Guid.NewGuid():n}");
        var prepared = await _host.PrepareAsync(request);
        await _host.New<Evaluate>().Run(new EvaluateInput(request.RunId!, prepared, Step: 0), CancellationToken.None);
        await ServeAsync(request.RunId!, prepared);

        var input = new NightlyEvaluationInput($"2026-{Guid.NewGuid():n}");
        var result = await TwiceAsync(BlobPaths.NightlyEvaluation(input.Date), host => host.New<EvaluateLatest>().Run(input, CancellationToken.None));
        Assert.NotNull(result);
        Assert.Equal(BlobPaths.NightlyEvaluation(input.Date), result.Measured.Path);
        Assert.Contains("hate probability", result.Fault, StringComparison.Ordinal); // the untrained adapter is the base model itself
        var latest = await _host.Get<BlobFiles>().ReadJsonAsync<LatestAdapter>(BlobPaths.LatestAdapter, CancellationToken.None);
        Assert.Equal(request.RunId, latest!.RunId); // nothing served before

        var earlier = new RunOutcome($"earlier-{Guid.NewGuid():n}", 0.5, 0.1, Published: true, prepared, Steps: 1);
        var files = new Dictionary<string, byte[]> { ["file"] = [1] };
        foreach (string path in new[] { BlobPaths.Run(earlier.RunId), BlobPaths.Checkpoint(earlier.RunId, 1) })
            await _host.Get<ArtifactStore>().MakeOnceAsync(path, _ => Task.FromResult(new NewArtifact<RunOutcome>(files, earlier)), CancellationToken.None);
        await _host.Get<PublishedAdapters>().PublishAsync(earlier with { PublishedAt = DateTimeOffset.UnixEpoch.AddDays(-1) }, CancellationToken.None);
        await TwiceAsync(BlobPaths.LatestAdapter, host => host.New<EvaluateLatest>().Run(input, CancellationToken.None));
        latest = await _host.Get<PublishedAdapters>().FindLatestAsync(CancellationToken.None);
        Assert.Equal((earlier.RunId, request.RunId, result.Fault), (latest!.RunId, latest.History[^1].TakenBack, latest.History[^1].Reason));
        Assert.Equal(0, await TwiceAsync($"{BlobPaths.Run(request.RunId!)}/", host => host.New<SweepStorage>().Run(input, CancellationToken.None)));
    }

    [Fact]
    public async Task Summaries_are_the_same_however_often_they_are_asked_for()
    {
        var request = TinyRun.Request($"sums-{Guid.NewGuid():n}");
        await ServeAsync(request.RunId!, await _host.PrepareAsync(request));
        string name = $"{request.RunId}.csv";
        var blob = await _host.Get<BlobFiles>().BlobAsync($"{BlobPaths.Dialogues}/{name}");
        string etag = (await blob.UploadAsync(BinaryData.FromString("id,dialogue\na,\"#Person1#: Hello.\"\nb,\n"), overwrite: true)).Value.ETag.ToString();
        Assert.Equal(BlobPaths.Summary(name), await TwiceAsync(
            $"{BlobPaths.Summaries}/{request.RunId}", host => host.New<WriteSummaries>().Run(new SummarizeDialoguesInput(name, etag), CancellationToken.None)));
        Assert.Equal(
            [BlobPaths.SummaryErrors(name), BlobPaths.Summary(name)],
            (await _host.SnapshotAsync($"{BlobPaths.Summaries}/{request.RunId}")).Keys);
    }

    public void Dispose()
    {
        _host.Dispose();
        _other.Dispose();
    }

    private Task ServeAsync(string runId, PreparedRun prepared)
    {
        var latest = new LatestAdapter(runId, prepared, Step: 0, DateTimeOffset.UnixEpoch);
        return _host.Get<BlobFiles>().ReplaceAsync(BlobPaths.LatestAdapter, BinaryData.FromObjectAsJson(latest, ContractsJson.Options), CancellationToken.None);
    }

    private async Task<T> TwiceAsync<T>(string below, Func<ActivityHost, Task<T>> deliver)
    {
        var results = await Task.WhenAll(Task.Run(() => deliver(_host)), Task.Run(() => deliver(_other)));
        var blobs = below == BlobPaths.Models ? [] : await _host.SnapshotAsync(below);
        T[] answers = [.. results, await deliver(_host), await deliver(_other)];
        Assert.Single(answers.Select(answer => JsonSerializer.Serialize(answer, ContractsJson.Options)).Distinct());
        if (below != BlobPaths.Models) Assert.Equal(blobs, await _host.SnapshotAsync(below)); // other tests import models meanwhile
        return results[0];
    }
}
