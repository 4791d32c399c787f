using System.Text;
using RlhfFunctions.Activities;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.EndToEnd;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Runs;

/// <summary>What a run keeps, and where it goes back to when that is damaged.</summary>
public sealed class RunRetentionTests
{
    private readonly BlobFiles _blobs;
    private readonly ArtifactStore _artifacts;
    private readonly StepMetrics _metrics;
    private readonly RunRetention _retention;
    private readonly RunRequest _request = TinyRun.Request($"kept-{Guid.NewGuid():n}") with { Retention = new() { Checkpoints = 2, Rollouts = 1 } };

    public RunRetentionTests(AzuriteFixture azurite)
    {
        _blobs = new BlobFiles(azurite.Blobs);
        _artifacts = new ArtifactStore(_blobs);
        _metrics = new StepMetrics(_artifacts);
        _retention = new RunRetention(_artifacts, _blobs);
    }

    private string Id => _request.RunId!;

    [Fact]
    public async Task A_run_keeps_checkpoint_0_the_last_ones_and_the_metrics_of_every_step()
    {
        await LearnAsync(steps: 5);
        Assert.Equal("0 4 5", await NumbersAsync(BlobPaths.Checkpoints(Id)));
        Assert.Equal("4", await NumbersAsync(BlobPaths.RolloutSteps(Id)));
        var lines = await _metrics.ReadAsync(Id, ..5, CancellationToken.None);
        Assert.Equal([0, 1, 2, 3, 4], lines.Select(line => (int)line["x"]!));
    }

    [Fact]
    public async Task At_its_end_a_run_lets_go_of_what_was_left_over()
    {
        await LearnAsync(steps: 5, discard: false);
        Assert.Equal("0 1 2 3 4 5", await NumbersAsync(BlobPaths.Checkpoints(Id)));
        await _retention.DiscardAsync(_request, 5, 5, CancellationToken.None);
        Assert.Equal("0 4 5", await NumbersAsync(BlobPaths.Checkpoints(Id)));
        Assert.Equal("4", await NumbersAsync(BlobPaths.RolloutSteps(Id)));
    }

    [Fact]
    public async Task Gradients_go_as_soon_as_the_checkpoint_they_led_to_is_there()
    {
        var request = _request with { Compute = new ComputeSettings { UpdateShards = 2 } };
        await LearnAsync(steps: 1, discard: false);
        foreach (int step in new[] { 0, 1 })
        {
            await MakeAsync(BlobPaths.Gradient(Id, step, 0, 1), "gradient");
            await MakeAsync(BlobPaths.OptimizerState(Id, step, 1), "state");
        }

        await _retention.DiscardOneAsync(request, Report(0), CancellationToken.None);
        Assert.Empty(await _blobs.ListAsync($"{BlobPaths.Update(Id, 0)}/", CancellationToken.None));
        Assert.Equal(4, (await _blobs.ListAsync($"{BlobPaths.Update(Id, 1)}/", CancellationToken.None)).Count); // of the step under way
        await _retention.DiscardAsync(request, 2, 2, CancellationToken.None); // at the end all of them, whatever became of their step
        Assert.Empty(await _blobs.ListAsync($"{BlobPaths.Update(Id, 1)}/", CancellationToken.None));
    }

    [Fact]
    public async Task The_best_checkpoint_stays_until_there_is_a_better_one_and_when_it_is_published()
    {
        // Checkpoint 1 is the best from step 1 on, checkpoint 3 from step 4 on.
        await LearnAsync(steps: 4, report: step => Report(step) with { Best = step == 0 ? null : 1 });
        Assert.Equal("0 1 3 4", await NumbersAsync(BlobPaths.Checkpoints(Id)));
        await MakeStepAsync(4);
        var better = Report(4) with { Best = 3, Replaced = 1 };
        await _retention.DiscardOneAsync(_request, better, CancellationToken.None);
        await _retention.DiscardOneAsync(_request, better, CancellationToken.None); // delivered twice
        Assert.Equal("0 3 4 5", await NumbersAsync(BlobPaths.Checkpoints(Id)));
        await _retention.DiscardAsync(_request, 5, 3, CancellationToken.None);
        Assert.Equal("0 3 4 5", await NumbersAsync(BlobPaths.Checkpoints(Id)));

        await LoseFileAsync(BlobPaths.Checkpoint(Id, 3));
        Assert.Equal(5, await RepairAsync());
        Assert.Equal(0, await RepairAsync(needed: 3)); // what is made again has the same bytes
    }

    [Fact]
    public async Task A_late_delivery_takes_nothing_from_a_run_that_went_back()
    {
        await LearnAsync(steps: 5);
        await MakeStepAsync(1);
        await MakeStepAsync(2);
        await _retention.DiscardOneAsync(_request, Report(5), CancellationToken.None); // of before
        Assert.Equal("0 2 3 5", await NumbersAsync(BlobPaths.Checkpoints(Id)));
    }

    [Fact]
    public async Task No_checkpoint_goes_before_a_later_one_is_there()
    {
        await LearnAsync(steps: 3, discard: false);
        await LoseFileAsync(BlobPaths.Checkpoint(Id, 2));
        await _retention.DiscardOneAsync(_request, Report(2), CancellationToken.None);
        Assert.Equal("0 1 2 3", await NumbersAsync(BlobPaths.Checkpoints(Id)));
    }

    [Fact]
    public async Task A_damaged_run_goes_back_to_the_last_checkpoint_it_kept_whole_and_else_to_its_start()
    {
        await LearnAsync(steps: 5);
        Assert.Equal(5, await RepairAsync());
        await LoseFileAsync(BlobPaths.Metrics(Id, 4)); // made again from the checkpoint beside it
        Assert.Equal(5, await RepairAsync());
        Assert.Equal(5, (await _metrics.ReadAsync(Id, ..5, CancellationToken.None)).Count);
        await LoseFileAsync(BlobPaths.Checkpoint(Id, 5));
        Assert.Equal(4, await RepairAsync());
        await LoseFileAsync(BlobPaths.Metrics(Id, 1)); // its checkpoint is gone
        Assert.Equal(0, await RepairAsync());
    }

    private async Task LearnAsync(int steps, bool discard = true, Func<int, StepReport>? report = null)
    {
        await MakeAsync(BlobPaths.Checkpoint(Id, 0), "state");
        for (int step = 0; step < steps; step++)
        {
            await MakeStepAsync(step);
            if (discard) await _retention.DiscardOneAsync(_request, report?.Invoke(step) ?? Report(step), CancellationToken.None);
        }
    }

    private async Task MakeStepAsync(int step)
    {
        await MakeAsync(BlobPaths.Rollout(Id, step, 0), "rollouts");
        await MakeAsync(BlobPaths.Checkpoint(Id, step + 1), $"{{\"x\":{step}}}");
        await _metrics.KeepAsync(Id, step, CancellationToken.None);
    }

    private Task MakeAsync(string path, string content)
    {
        var files = new Dictionary<string, byte[]> { [StepMetrics.FileName] = Encoding.UTF8.GetBytes(content) };
        return _artifacts.MakeOnceAsync(path, _ => Task.FromResult(new NewArtifact<string>(files, path)), CancellationToken.None);
    }

    private async Task LoseFileAsync(string path)
    {
        await _blobs.DeleteAsync((await _artifacts.GetAsync<object>(path, CancellationToken.None)).Files.Single().Blob, CancellationToken.None);
    }

    private static StepReport Report(int step)
    {
        return new StepReport(step, 0, 0, 0, 0, 0, 0);
    }

    private Task<int> RepairAsync(int? needed = null)
    {
        return new RepairRun(_artifacts, _metrics, new RunEvents(_blobs)).Run(new RepairRunInput(Id, Step: 5) { Needed = needed }, CancellationToken.None);
    }

    private async Task<string> NumbersAsync(string path)
    {
        var listed = await _blobs.ListAsync(path + "/", CancellationToken.None);
        return string.Join(' ', listed.Select(blob => blob.Path[(path.Length + 1)..].Split('/')[0].TrimStart('0').PadLeft(1, '0')).Distinct().Order());
    }
}
