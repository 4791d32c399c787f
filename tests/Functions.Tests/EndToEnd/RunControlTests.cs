using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Azure.Storage.Blobs.Models;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>Runs as their owner handles them: asked about before, started once, found again, paused, stopped, taken up and deleted.</summary>
[Collection(nameof(RunTests))]
public sealed class RunControlTests(RunTests.FinishedRun finished)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private HttpClient Http => finished.App.Http;

    [Fact]
    public async Task What_a_run_would_take_is_told_and_nothing_is_started()
    {
        using var answer = await Http.PostAsJsonAsync("/api/runs?validate=true", TinyRun.Request("estimated", steps: 6), ContractsJson.Options);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var estimate = (await answer.Content.ReadFromJsonAsync<RunEstimate>(ContractsJson.Options))!;
        Assert.Equal((6, 6 * 8 * 16), (estimate.Steps, estimate.MostTokens));
        Assert.Equal("whole", estimate.Like);
        Assert.InRange(estimate.Cost!.ResponseTokens, 1, estimate.MostTokens);
        Assert.InRange(estimate.Seconds!.Value, 0.01, estimate.Cost.Seconds);
        long weights = new FileInfo(Path.Combine(Repository.Root, "samples", "models", "llama", "model.safetensors")).Length;
        Assert.InRange(estimate.MemoryBytes!.Value, weights / 2, weights * 4);
        Assert.Null(await finished.App.FindRunAsync("estimated"));

        using var wrong = await Http.PostAsJsonAsync("/api/runs?validate=maybe", TinyRun.Request("estimated"), ContractsJson.Options);
        await RefusedAsync(wrong, HttpStatusCode.BadRequest, "validate");
    }

    [Theory]
    [InlineData("breakfast")]
    [InlineData("lunch")]
    [InlineData("dinner")]
    public async Task Eight_posts_at_once_with_one_key_are_one_run(string key)
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => PostWithKeyAsync(key, seed: 5)));
        foreach (var answer in answers) Assert.True(answer.StatusCode == HttpStatusCode.Accepted, $"{answer.StatusCode}: {await answer.Content.ReadAsStringAsync()}");
        var bodies = await Task.WhenAll(answers.Select(answer => answer.Content.ReadFromJsonAsync<JsonElement>()));
        string id = Assert.Single(bodies.Select(body => body.GetProperty("runId").GetString()!).Distinct());
        var runs = await Http.GetFromJsonAsync<RunListItem[]>("/api/runs?tag=keyed", ContractsJson.Options);
        Assert.Equal((id, "By key"), (Assert.Single(runs!).RunId, runs![0].Name));

        using var other = await PostWithKeyAsync(key, seed: 6);
        await RefusedAsync(other, HttpStatusCode.Conflict, id);
        using var tooLong = await PostWithKeyAsync(new string('k', 256), seed: 5);
        await RefusedAsync(tooLong, HttpStatusCode.BadRequest, "Idempotency-Key");
        using var gone = await Http.DeleteAsync(new Uri($"/api/runs/{id}", UriKind.Relative));
        Assert.Equal(HttpStatusCode.NoContent, gone.StatusCode);
        foreach (var answer in answers) answer.Dispose();
    }

    [Fact]
    public async Task Runs_are_listed_in_pages_and_by_status()
    {
        var all = (await Http.GetFromJsonAsync<RunListItem[]>("/api/runs?limit=1000", ContractsJson.Options))!;
        var paged = new List<RunListItem>();
        for (string address = "/api/runs?limit=1"; ; address = $"/api/runs?limit=1&after={paged[^1].RunId}")
        {
            var page = (await Http.GetFromJsonAsync<RunListItem[]>(address, ContractsJson.Options))!;
            if (page.Length == 0) break;
            paged.Add(Assert.Single(page));
        }

        Assert.Equal(all.Select(run => run.RunId), paged.Select(run => run.RunId));
        Assert.Equal(all.OrderByDescending(run => run.CreatedAt).Select(run => run.CreatedAt), all.Select(run => run.CreatedAt));
        var completed = (await Http.GetFromJsonAsync<RunListItem[]>("/api/runs?status=completed", ContractsJson.Options))!;
        Assert.Contains(completed, run => run.RunId == "whole");
        Assert.All(completed, run => Assert.Equal("Completed", run.Status));
        Assert.Equal("[]", await Http.GetStringAsync(new Uri("/api/runs?tag=nobodys", UriKind.Relative)));
        foreach (var (query, names) in new[] { ("limit=0", "limit"), ("limit=x", "limit"), ("status=nix", "Terminated"), ("after=nobody", "nobody") })
        {
            using var wrong = await Http.GetAsync(new Uri($"/api/runs?{query}", UriKind.Relative));
            await RefusedAsync(wrong, HttpStatusCode.BadRequest, names);
        }
    }

    [Fact]
    public async Task Some_metrics_the_checkpoints_and_the_events_of_a_run_are_told()
    {
        var metrics = (await Http.GetFromJsonAsync<JsonElement[]>("/api/runs/whole/metrics?from=1&limit=1"))!;
        Assert.Equal(1, Assert.Single(metrics).GetProperty("step").GetInt32());
        Assert.Equal("[]", await Http.GetStringAsync(new Uri("/api/runs/whole/metrics?from=3", UriKind.Relative)));
        using var wrong = await Http.GetAsync(new Uri("/api/runs/whole/metrics?from=-1", UriKind.Relative));
        await RefusedAsync(wrong, HttpStatusCode.BadRequest, "from");

        var checkpoints = (await Http.GetFromJsonAsync<RunCheckpoint[]>("/api/runs/whole/checkpoints", ContractsJson.Options))!;
        Assert.Equal([0, 1, 2, 3], checkpoints.Select(checkpoint => checkpoint.Step));
        await finished.Receiver.WaitAsync("/flaky/whole");
        var events = await EventsAsync("whole", until: RunEventKind.Notified);
        Assert.Equal([RunEventKind.Created, RunEventKind.Finished, RunEventKind.Notified], events.Select(one => one.Kind));
        foreach (string what in new[] { "checkpoints", "events" })
        {
            using var unknown = await Http.GetAsync(new Uri($"/api/runs/nobody/{what}", UriKind.Relative));
            await RefusedAsync(unknown, HttpStatusCode.NotFound, "nobody");
        }
    }

    [Fact]
    public async Task A_run_is_suspended_resumed_cancelled_taken_up_again_and_deleted()
    {
        using (var accepted = await finished.App.PostRunAsync(TinyRun.Request("lives", steps: 500) with { Notify = finished.Told("steady/lives") })) Assert.Equal(HttpStatusCode.Accepted, accepted.StatusCode);
        var createdAt = (await finished.App.WaitAsync("lives", view => view.Progress?.Step >= 1, Patience)).CreatedAt;
        await DoAsync("lives/suspend?reason=lunch", HttpStatusCode.Accepted);
        await finished.App.WaitAsync("lives", view => view.Status == "Suspended", Patience);
        await DoAsync("lives/resume", HttpStatusCode.Accepted);
        await finished.App.WaitAsync("lives", view => view.Status == "Running", Patience);

        await DoAsync("lives/cancel?reason=enough", HttpStatusCode.Accepted);
        await DoAsync("lives/cancel", HttpStatusCode.Accepted); // is asked already
        RunView? ended = null;
        for (var deadline = DateTime.UtcNow + Patience; ended is not { Status: "Terminated" } && DateTime.UtcNow < deadline; await Task.Delay(100))
            ended = await finished.App.FindRunAsync("lives");
        Assert.Equal(("Terminated", "enough"), (ended!.Status, ended.Failure));
        await Task.Delay(2500, TestContext.Current.CancellationToken); // what it had begun has looked for the mark by then
        int blobs = await CountAsync();
        await Task.Delay(1000, TestContext.Current.CancellationToken);
        Assert.Equal(blobs, await CountAsync());

        var told = Assert.Single(await finished.Receiver.WaitAsync("/steady/lives"));
        told.AssertIsSigned();
        Assert.Equal("run.cancelled", told.Json.GetProperty("type").GetString());
        Assert.Equal(("lives", "enough"), (told.Json.GetProperty("data").GetProperty("runId").GetString(), told.Json.GetProperty("data").GetProperty("reason").GetString()));
        await EventsAsync("lives", until: RunEventKind.Notified);

        await DoAsync("lives/suspend", HttpStatusCode.Conflict);
        await DoAsync("lives/resume?reason=on", HttpStatusCode.Accepted);
        int step = ended.Progress!.Step;
        RunView? again = null; // the engine shows the old end until the new beginning is there
        for (var deadline = DateTime.UtcNow + Patience; again is not { Status: "Running", Progress: { } progress } || progress.Step < step + 1; await Task.Delay(100))
        {
            again = await finished.App.FindRunAsync("lives");
            Assert.True(DateTime.UtcNow < deadline, $"It does not go on: {again?.Status}, {again?.Progress}, {again?.Failure}");
        }

        Assert.Equal(createdAt, again.CreatedAt);
        var events = (await Http.GetFromJsonAsync<RunEvent[]>("/api/runs/lives/events", ContractsJson.Options))!;
        Assert.Equal(
            [RunEventKind.Created, RunEventKind.Suspended, RunEventKind.Resumed, RunEventKind.Cancelled, RunEventKind.Notified, RunEventKind.Restarted],
            events.Select(one => one.Kind));
        Assert.Equal([null, "lunch", null, "enough", "run.cancelled", "on"], events.Select(one => one.Reason));
        Assert.True(again.Progress!.Usage!.ResponseTokens > ended.Progress.Usage!.ResponseTokens, $"{again.Progress.Usage} after {ended.Progress.Usage}");

        using var gone = await Http.DeleteAsync(new Uri("/api/runs/lives", UriKind.Relative));
        Assert.Equal(HttpStatusCode.NoContent, gone.StatusCode);
        Assert.Null(await finished.App.FindRunAsync("lives"));
        await Task.Delay(1500, TestContext.Current.CancellationToken);
        Assert.Equal(0, await CountAsync());
        using var nothing = await Http.DeleteAsync(new Uri("/api/runs/lives", UriKind.Relative));
        await RefusedAsync(nothing, HttpStatusCode.NotFound, "lives");
    }

    [Fact]
    public async Task A_run_of_which_only_the_request_is_there_is_taken_up_and_another_is_deleted()
    {
        foreach (string id in new[] { "only-asked", "only-deleted" })
            await finished.App.WriteBlobAsync(BlobPaths.Request(id), BinaryData.FromObjectAsJson(TinyRun.Request(id, steps: 500), ContractsJson.Options));
        await DoAsync("only-asked/cancel", HttpStatusCode.Conflict);
        await DoAsync("only-asked/resume", HttpStatusCode.Accepted);
        await finished.App.WaitAsync("only-asked", view => view.Status == "Running", Patience);
        foreach (string id in new[] { "only-asked", "only-deleted" })
        {
            using var gone = await Http.DeleteAsync(new Uri($"/api/runs/{id}", UriKind.Relative));
            Assert.True(gone.StatusCode == HttpStatusCode.NoContent, $"{gone.StatusCode} {await gone.Content.ReadAsStringAsync()}");
        }
    }

    [Theory]
    [InlineData("suspend")]
    [InlineData("resume")]
    [InlineData("cancel")]
    public async Task What_has_finished_or_is_not_there_cannot_be_handled(string action)
    {
        await DoAsync($"whole/{action}", HttpStatusCode.Conflict);
        await DoAsync($"nobody/{action}", HttpStatusCode.NotFound);
        await DoAsync($"whole/{action}?reason={new string('r', 501)}", HttpStatusCode.BadRequest);
    }

    private async Task<RunEvent[]> EventsAsync(string runId, RunEventKind until)
    {
        for (var deadline = DateTime.UtcNow + Patience; ; await Task.Delay(100))
        {
            var events = (await Http.GetFromJsonAsync<RunEvent[]>($"/api/runs/{runId}/events", ContractsJson.Options))!;
            if (events.Any(one => one.Kind == until)) return events;
            Assert.True(DateTime.UtcNow < deadline, string.Join(", ", events.Select(one => $"{one.Kind} {one.Reason}")));
        }
    }

    private async Task<HttpResponseMessage> PostWithKeyAsync(string key, long seed)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/api/runs", UriKind.Relative));
        request.Headers.Add("Idempotency-Key", key);
        request.Content = JsonContent.Create(TinyRun.Request("x", steps: 100, seed: seed) with { RunId = null, Name = "By key", Tags = ["keyed"] }, options: ContractsJson.Options);
        return await Http.SendAsync(request);
    }

    private async Task DoAsync(string what, HttpStatusCode status)
    {
        using var body = new StringContent("", Encoding.UTF8, "application/json");
        using var answer = await Http.PostAsync(new Uri($"/api/runs/{what}", UriKind.Relative), body);
        Assert.True(answer.StatusCode == status, $"{what}: {answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
    }

    private async Task<int> CountAsync()
    {
        int count = 0;
        await foreach (var _ in finished.App.Blobs.GetBlobContainerClient(BlobPaths.Runs).GetBlobsAsync(new GetBlobsOptions { Prefix = "lives/" })) count++;
        return count;
    }

    private static async Task RefusedAsync(HttpResponseMessage answer, HttpStatusCode status, string names)
    {
        string body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == status, $"{answer.StatusCode}: {body}");
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        Assert.Contains(names, body, StringComparison.Ordinal);
    }
}
