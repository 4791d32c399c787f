using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using RlhfFunctions.Activities;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.EndToEnd;
using RlhfFunctions.Hosting;
using RlhfFunctions.Ml.Evaluation;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Activities;

/// <summary>What may serve: runs whose every measurement is good differ in what stopped them alone.</summary>
[Collection(BlobPaths.LatestAdapter)]
public sealed class PublishTests(AzuriteFixture azurite)
{
    [Theory]
    [InlineData(null, null, null, true)]
    [InlineData("Step 0: too far.", null, null, false)]
    [InlineData(null, "It has taken 3 hours.", null, false)]
    [InlineData(null, null, 0.5, false)]
    public async Task An_adapter_serves_only_if_nothing_stopped_its_run_and_people_need_not_decide(string? alarm, string? limit, double? minHumanWinRate, bool serves)
    {
        using var host = Services();
        var request = TinyRun.Request($"published-{Guid.NewGuid():n}");
        request = request with { Evaluation = request.Evaluation with { MinHumanWinRate = minHumanWinRate } };
        await host.GetRequiredService<RunRequests>().TryRecordAsync(request, CancellationToken.None);
        var prepared = await PlantAsync(host.GetRequiredService<ArtifactStore>(), request.RunId!);
        await Task.Delay(TimeSpan.FromSeconds(1.1)); // the storage's clock counts seconds, and of two publications in one the later name serves

        var outcome = await ActivatorUtilities.CreateInstance<PublishAdapter>(host).Run(
            new PublishAdapterInput(request.RunId!, prepared, Steps: 1, new RunTimings(0, 0, 0, 0), TotalSeconds: 1, alarm) { Limit = limit }, CancellationToken.None);

        Assert.True(outcome.LabelAfter < outcome.LabelBefore);
        Assert.Equal((serves, alarm, limit), (outcome.Published, outcome.Alarm, outcome.Limit));
        var latest = await host.GetRequiredService<BlobFiles>().ReadJsonAsync<LatestAdapter>(BlobPaths.LatestAdapter, CancellationToken.None);
        Assert.Equal(serves, latest?.RunId == request.RunId);
        string report = (await host.GetRequiredService<BlobFiles>().ReadTextAsync(BlobPaths.Published(request.RunId!, RunFiles.Report), CancellationToken.None))!;
        Assert.Equal(minHumanWinRate is not null, report.Contains("people decide", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_run_whose_reward_was_exploited_publishes_the_chosen_checkpoint()
    {
        using var host = Services();
        var request = TinyRun.Request($"chosen-{Guid.NewGuid():n}");
        await host.GetRequiredService<RunRequests>().TryRecordAsync(request, CancellationToken.None);
        var artifacts = host.GetRequiredService<ArtifactStore>();
        var prepared = await PlantAsync(artifacts, request.RunId!);
        await artifacts.MakeOnceAsync(
            BlobPaths.Metrics(request.RunId!, 1),
            _ => Task.FromResult(new NewArtifact<string>(new Dictionary<string, byte[]> { [StepMetrics.FileName] = "{}"u8.ToArray() }, "")), CancellationToken.None);

        var outcome = await ActivatorUtilities.CreateInstance<PublishAdapter>(host).Run(
            new PublishAdapterInput(request.RunId!, prepared, Steps: 2, new RunTimings(0, 0, 0, 0), TotalSeconds: 1) { Hack = "Exploited.", Chosen = 1 }, CancellationToken.None);

        Assert.Equal((true, 2, 1), (outcome.Published, outcome.Steps, outcome.Checkpoint));
        var blobs = host.GetRequiredService<BlobFiles>();
        Assert.Equal(1, (await blobs.ReadJsonAsync<LatestAdapter>(BlobPaths.LatestAdapter, CancellationToken.None))!.Step);
        var files = await artifacts.ReadFilesAsync(BlobPaths.Run(request.RunId!), CancellationToken.None);
        Assert.Equal([1, 2, 3], files[RunFiles.AdapterWeights]); // of checkpoint 1; there is no other
        string report = Encoding.UTF8.GetString(files[RunFiles.Report]);
        Assert.Contains("The run stopped itself. Exploited. What is measured and published here is checkpoint 1", report, StringComparison.Ordinal);
        Assert.Equal(2, Encoding.UTF8.GetString(files[RunFiles.Metrics]).Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }

    /// <summary>What a run of one step leaves behind: dataset, checkpoint, and measurements in which hate fell.</summary>
    private static async Task<PreparedRun> PlantAsync(ArtifactStore artifacts, string runId)
    {
        PreparedDialogue[] dialogues = [new("a", "#Person1#: Hello.", "They greet.", [1])];
        await PlantAsync(BlobPaths.Dataset(runId), new() { [PreparedDataset.FileName] = new PreparedDataset(dialogues, dialogues).ToBytes() });
        await PlantAsync(BlobPaths.Checkpoint(runId, 1), new() { [TrainingState.AdapterFile] = [1, 2, 3] });
        await PlantAsync(
            BlobPaths.Metrics(runId, 0), new() { [StepMetrics.FileName] = Encoding.UTF8.GetBytes($"{{\"{MetricNames.Kl}\": 0.5}}") });
        foreach (var (step, hate) in new[] { (0, 0.9f), (1, 0.1f) })
        {
            EvaluatedSample[] samples = [new(0, 0, "They greet.", hate, 1, 3, true, 0)];
            await PlantAsync(
                BlobPaths.Measurement(runId, step),
                new() { [PolicyMeasuring.FileName] = JsonSerializer.SerializeToUtf8Bytes(samples, ContractsJson.Options) });
        }

        return new PreparedRun("models/base", ["models/reward"], "models/judge", BlobPaths.Dataset(runId));

        Task PlantAsync(string path, Dictionary<string, byte[]> files)
        {
            return artifacts.MakeOnceAsync(path, _ => Task.FromResult(new NewArtifact<string>(files, path)), CancellationToken.None);
        }
    }

    private ServiceProvider Services()
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(new Dictionary<string, string?> { ["AzureWebJobsStorage"] = azurite.ConnectionString }).Build();
        return new ServiceCollection().AddRlhf(configuration).BuildServiceProvider();
    }
}
