using System.Net;
using System.Text;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>Runs that fail, wait, or are stopped, and what goes on beside them.</summary>
[Collection(nameof(RunTests))]
public sealed class UnfinishedRunTests(RunTests.FinishedRun finished)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task A_failed_run_says_why_in_the_products_words_and_when_it_was_asked_for()
    {
        var request = TinyRun.Request("no-column");
        request = request with { Data = request.Data with { Columns = new DialogueColumns { Dialogue = "nix" } }, Notify = finished.Told("steady/no-column") };
        using (var accepted = await finished.App.PostRunAsync(request)) Assert.Equal(HttpStatusCode.Accepted, accepted.StatusCode);
        var createdAt = (await finished.App.FindRunAsync("no-column"))!.CreatedAt;
        RunView? failed = null;
        for (var deadline = DateTime.UtcNow + Patience; failed is not { Status: "Failed" } && DateTime.UtcNow < deadline; await Task.Delay(100))
            failed = await finished.App.FindRunAsync("no-column");
        Assert.Equal("Failed", failed!.Status);
        Assert.StartsWith("PrepareDataset: file:samples/dialogues/train.csv has no column \"nix\".", failed.Failure, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", failed.Failure, StringComparison.Ordinal);
        Assert.Equal(createdAt, failed.CreatedAt);
        Assert.NotNull(createdAt);

        // Whoever is to be told is told why, and again when it fails again.
        Assert.Equal("run.failed", Assert.Single(await finished.Receiver.WaitAsync("/steady/no-column")).Json.GetProperty("type").GetString());
        using (var body = new StringContent("", Encoding.UTF8, "application/json"))
        using (var resumed = await finished.App.Http.PostAsync(new Uri("/api/runs/no-column/resume", UriKind.Relative), body)) Assert.Equal(HttpStatusCode.Accepted, resumed.StatusCode);
        var told = await finished.Receiver.WaitAsync("/steady/no-column", taken: 2);
        Assert.Equal(2, told.Select(attempt => attempt.Id).Distinct().Count());
        Assert.All(told, attempt => Assert.Equal(failed.Failure, attempt.Json.GetProperty("data").GetProperty("reason").GetString()));
    }

    [Fact]
    public async Task Whoever_is_told_of_a_finished_run_and_fails_is_told_again()
    {
        var attempts = await finished.Receiver.WaitAsync("/flaky/whole");
        Assert.Equal([503, 204], attempts.Select(attempt => attempt.Status));
        foreach (var attempt in attempts) attempt.AssertIsSigned();
        Assert.Single(attempts.Select(attempt => (attempt.Id, attempt.Body)).Distinct());
        var told = attempts[0].Json;
        Assert.Equal("run.finished", told.GetProperty("type").GetString());
        Assert.Equal(finished.View.Outcome!.LabelAfter, told.GetProperty("data").GetProperty("labelAfter").GetDouble());
    }

    [Fact]
    public async Task Summaries_do_not_wait_behind_a_training_run_and_a_run_can_be_suspended_resumed_and_terminated()
    {
        var latest = new LatestAdapter("whole", finished.View.Outcome!.Prepared, 3, DateTimeOffset.UtcNow);
        await finished.App.WriteBlobAsync(BlobPaths.LatestAdapter, BinaryData.FromObjectAsJson(latest, ContractsJson.Options));

        using (await finished.App.PostRunAsync(TinyRun.Request("trains", steps: 500))) { }
        var createdAt = (await finished.App.WaitAsync("trains", view => view.Progress?.Step >= 1, Patience)).CreatedAt;
        await finished.App.WriteBlobAsync($"{BlobPaths.Dialogues}/deep/er.csv", BinaryData.FromString("id,dialogue\na,\"#Person1#: Hello.\n#Person2#: Hello.\"\n"));
        var summary = finished.App.Blobs.GetBlobContainerClient(BlobPaths.Summaries).GetBlobClient("deep/er.csv.json");
        for (var deadline = DateTime.UtcNow + Patience; !(await summary.ExistsAsync()).Value; await Task.Delay(100))
            Assert.True(DateTime.UtcNow < deadline, "The summary never came.");
        Assert.Equal("Running", (await finished.App.FindRunAsync("trains"))!.Status);

        await ManageAsync("trains/suspend?reason=lunch");
        int step = (await finished.App.WaitAsync("trains", view => view.Status == "Suspended", Patience)).Progress!.Step;
        await ManageAsync("trains/resume?reason=done");
        var resumed = await finished.App.WaitAsync("trains", view => view.Progress!.Step > step + 8, Patience); // another generation
        Assert.Equal(createdAt, resumed.CreatedAt);
        await ManageAsync("trains/terminate?reason=enough");
        RunView? ended = null;
        for (var deadline = DateTime.UtcNow + Patience; ended is not { Status: "Terminated" } && DateTime.UtcNow < deadline; await Task.Delay(100))
            ended = await finished.App.FindRunAsync("trains");
        Assert.Equal("Terminated", ended!.Status);
        Assert.Equal("enough", ended.Failure);
    }

    private async Task ManageAsync(string what)
    {
        using var body = new StringContent("", Encoding.UTF8, "application/json");
        using var answer = await finished.App.Http.PostAsync(new Uri($"/runtime/webhooks/durabletask/instances/{what}", UriKind.Relative), body);
        Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
    }
}
