using Microsoft.Extensions.Configuration;
using RlhfFunctions.Activities;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.EndToEnd;
using RlhfFunctions.Runs;
using RlhfFunctions.Sources;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Runs;

/// <summary>What is told of a run's end, where, and what is not.</summary>
public sealed class RunNoticesTests(AzuriteFixture azurite) : IAsyncLifetime
{
    private static readonly DateTimeOffset Noon = new(2026, 3, 2, 12, 0, 0, TimeSpan.Zero);

    private readonly BlobFiles _blobs = new(azurite.Blobs);
    private readonly string _id = $"n-{Guid.NewGuid():n}";
    private WebhookReceiver _receiver = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _receiver = await WebhookReceiver.StartAsync();
    }

    public ValueTask DisposeAsync()
    {
        return _receiver.DisposeAsync();
    }

    [Fact]
    public async Task Every_attempt_has_the_same_id_and_body_and_is_signed()
    {
        await RecordAsync("flaky/a");
        using var notices = Notices();
        var notice = Notice(RunEnd.Failed, "PrepareDataset: no column.");
        var refused = await Assert.ThrowsAsync<HttpRequestException>(() => notices.SendAsync(notice, Stop));
        Assert.Equal($"{_receiver.Address.Authority} answered 503, where a 2xx is needed.", refused.Message);
        Assert.True(await notices.SendAsync(notice, Stop));

        var attempts = await _receiver.WaitAsync("/flaky/a");
        Assert.Equal([503, 204], attempts.Select(attempt => attempt.Status));
        Assert.Equal("the-id", Assert.Single(attempts.Select(attempt => attempt.Id).Distinct()));
        Assert.Equal(
            $$$"""{"type":"run.failed","timestamp":"2026-03-02T12:00:00+00:00","data":{"runId":"{{{_id}}}","name":"Mine","tags":["a"],"reason":"PrepareDataset: no column."}}""",
            Assert.Single(attempts.Select(attempt => attempt.Body).Distinct()));
        foreach (var attempt in attempts) attempt.AssertIsSigned();
    }

    [Fact]
    public async Task A_redirect_is_not_followed()
    {
        await RecordAsync("elsewhere");
        using var notices = Notices();
        var refused = await Assert.ThrowsAsync<HttpRequestException>(() => notices.SendAsync(Notice(RunEnd.Failed), Stop));
        Assert.Contains("answered 302", refused.Message, StringComparison.Ordinal);
        Assert.Empty(await _receiver.WaitAsync("/steady/elsewhere", taken: 0));
    }

    [Fact]
    public async Task Nothing_is_told_of_a_run_that_was_deleted_or_came_to_its_end_before_it_could_be_cancelled()
    {
        using var notices = Notices();
        Assert.False(await notices.SendAsync(Notice(RunEnd.Failed), Stop));
        var send = new SendNotice(notices, new RunRequests(_blobs), new RunEvents(_blobs));
        await send.Note(new NotedNotice(Notice(RunEnd.Failed), "x"), Stop);
        Assert.Empty(await _blobs.ListAsync(BlobPaths.Run(_id), Stop));

        await RecordAsync("steady/b");
        var outcome = new RunOutcome(_id, 0.5, 0.25, true, new PreparedRun("models/b", [], "models/j", "d"), 3);
        await new ArtifactStore(_blobs).PublishOnceAsync(BlobPaths.Run(_id), _ => Task.FromResult(new NewArtifact<RunOutcome>(new Dictionary<string, byte[]>(), outcome)), Stop);
        Assert.False(await notices.SendAsync(Notice(RunEnd.Cancelled), Stop));
        Assert.True(await notices.SendAsync(Notice(RunEnd.Finished), Stop));
        var data = Assert.Single(await _receiver.WaitAsync("/steady/b")).Json.GetProperty("data");
        Assert.Equal(
            (3, 0.5, 0.25, true),
            (data.GetProperty("steps").GetInt32(), data.GetProperty("labelBefore").GetDouble(), data.GetProperty("labelAfter").GetDouble(), data.GetProperty("published").GetBoolean()));
    }

    [Fact]
    public async Task A_host_that_is_no_longer_allowed_is_not_called_and_without_a_secret_none_is()
    {
        await RecordAsync("steady/c");
        using var notices = Notices(hosts: "hooks.example");
        var refused = await Assert.ThrowsAsync<InvalidInputException>(() => notices.SendAsync(Notice(RunEnd.Failed), Stop));
        Assert.Contains("RlhfWebhookHosts: hooks.example", refused.Message, StringComparison.Ordinal);
        using var unsigned = Notices(secret: null);
        Assert.Contains("RlhfWebhookSecret", unsigned.ProblemWith($"{_receiver.Address}steady/c"), StringComparison.Ordinal);
        Assert.Empty(await _receiver.WaitAsync("/steady/c", taken: 0));
    }

    [Theory]
    [InlineData(null, RunEventKind.Notified, "run.finished")]
    [InlineData("hooks.example answered 500.", RunEventKind.NotNotified, "run.finished: hooks.example answered 500.")]
    public async Task What_came_of_it_is_an_event_of_the_run(string? fault, RunEventKind kind, string reason)
    {
        await RecordAsync("steady/d");
        var events = new RunEvents(_blobs);
        using var notices = Notices();
        var send = new SendNotice(notices, new RunRequests(_blobs), events);
        foreach (int _ in new[] { 1, 2 }) await send.Note(new NotedNotice(Notice(RunEnd.Finished), fault), Stop); // delivered twice
        var told = Assert.Single(await events.ReadAsync(_id, Stop));
        Assert.Equal((kind, reason), (told.Kind, told.Reason));
    }

    private Task RecordAsync(string path)
    {
        var request = TinyRun.Request(_id) with { Name = "Mine", Tags = ["a"], Notify = new NotifySettings { Url = $"{_receiver.Address}{path}" } };
        return new RunRequests(_blobs).TryRecordAsync(request, Stop);
    }

    private RunNotice Notice(RunEnd end, string? reason = null)
    {
        return new RunNotice("the-id", _id, end, Noon, reason);
    }

    private RunNotices Notices(string? hosts = null, string? secret = WebhookReceiver.Secret)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection([new("RlhfWebhookHosts", hosts ?? _receiver.Address.Authority)]).Build();
        return new RunNotices(configuration, new WebhookSecret(secret), new RunRequests(_blobs), new ArtifactStore(_blobs), TimeProvider.System);
    }
}
