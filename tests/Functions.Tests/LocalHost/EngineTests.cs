using Microsoft.DurableTask;
using Microsoft.DurableTask.Client;

namespace RlhfFunctions.Functions.Tests.LocalHost;

/// <summary>The semantics of Durable Functions that the app relies on, one by one.</summary>
public sealed class EngineTests(AzuriteFixture azurite) : IAsyncLifetime
{
    private TestHost _host = null!;

    public async ValueTask InitializeAsync() => _host = await TestHost.StartAsync(
        azurite.Blobs, AzuriteFixture.NewContainerName(),
        [typeof(SampleActivities), typeof(SampleOrchestrators), typeof(WrongOrchestrators)]);

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    [Fact]
    public async Task Fan_out_returns_results_in_the_order_of_the_calls()
    {
        var done = await _host.RunAsync(nameof(SampleOrchestrators.FanOut), 12);
        Assert.Equal(Enumerable.Range(1, 12).Select(number => 2 * number), done.ReadOutputAs<int[]>()!);
        Assert.Equal(12, _host.Probe.Calls.Count);
    }

    [Fact]
    public async Task Retries_count_attempts_and_wait_longer_each_time()
    {
        var done = await _host.RunAsync(nameof(SampleOrchestrators.Retry), 3);
        Assert.Equal(nameof(SampleActivities.FailTwice), done.ReadOutputAs<string>());
        Assert.Equal(3, _host.Probe.Count(done.InstanceId));
        Assert.True(done.LastUpdatedAt - done.CreatedAt >= TimeSpan.FromMilliseconds(300), "100 ms, then 200 ms");
    }

    [Fact]
    public async Task Retries_end_after_the_last_attempt()
    {
        var done = await _host.RunAsync(nameof(SampleOrchestrators.Retry), 2);
        Assert.Equal(OrchestrationRuntimeStatus.Failed, done.RuntimeStatus);
        Assert.Equal("attempt 2", done.FailureDetails!.InnerFailure!.ErrorMessage);
    }

    [Fact]
    public async Task A_failure_that_the_policy_does_not_handle_is_not_retried()
    {
        var done = await _host.RunAsync(nameof(SampleOrchestrators.RetryOnlyOtherFailures));
        Assert.Equal(OrchestrationRuntimeStatus.Failed, done.RuntimeStatus);
        Assert.Equal(1, _host.Probe.Count(done.InstanceId));
    }

    [Fact]
    public async Task A_failed_activity_reaches_the_orchestrator_as_TaskFailedException()
    {
        var details = (await _host.RunAsync(nameof(SampleOrchestrators.Catch))).ReadOutputAs<TaskFailureDetails>()!;
        Assert.Equal("boom", details.ErrorMessage);
        Assert.True(details.IsCausedBy<SystemException>());
        Assert.False(details.IsCausedBy<ArgumentException>());
        Assert.Equal(typeof(IOException).FullName, details.InnerFailure!.ErrorType);
    }

    [Fact]
    public async Task An_uncaught_failure_fails_the_orchestration_and_names_the_task()
    {
        var done = await _host.RunAsync(nameof(SampleOrchestrators.LetFail));
        Assert.Equal(OrchestrationRuntimeStatus.Failed, done.RuntimeStatus);
        Assert.Contains("Task 'Fail' (#0) failed", done.FailureDetails!.ErrorMessage, StringComparison.Ordinal);
        Assert.Equal("boom", done.FailureDetails.InnerFailure!.ErrorMessage);
    }

    [Fact]
    public async Task Events_survive_ContinueAsNew_and_their_names_ignore_case()
    {
        var id = await _host.Client.ScheduleNewOrchestrationInstanceAsync(
            nameof(SampleOrchestrators.Collect), "", CancellationToken.None);
        foreach (var letter in "abcd")
            await _host.Client.RaiseEventAsync(id, "LETTER", letter.ToString());
        var done = await _host.FinishAsync(id);
        Assert.Equal("abcd", done.ReadOutputAs<string>());
        Assert.Equal("abcd", done.ReadCustomStatusAs<string>());
        Assert.Equal("abc", done.ReadInputAs<string>());
    }

    [Fact]
    public async Task An_event_ends_the_wait_before_its_time_is_up()
    {
        var id = await _host.Client.ScheduleNewOrchestrationInstanceAsync(
            nameof(SampleOrchestrators.WaitOrGiveUp), 60_000, CancellationToken.None);
        await _host.Client.RaiseEventAsync(id, "answer", "42");
        Assert.Equal("42", (await _host.FinishAsync(id)).ReadOutputAs<string>());
    }

    [Fact]
    public async Task A_wait_whose_time_is_up_is_cancelled() =>
        Assert.Equal("gave up", (await _host.RunAsync(nameof(SampleOrchestrators.WaitOrGiveUp), 50)).ReadOutputAs<string>());

    [Fact]
    public async Task Terminating_leaves_the_running_activity_alone_and_drops_its_result()
    {
        var id = await _host.Client.ScheduleNewOrchestrationInstanceAsync(
            nameof(SampleOrchestrators.WaitForGate), "gate", CancellationToken.None);
        await _host.Probe.Gate("gate entered");
        await _host.Client.TerminateInstanceAsync(id, "enough");
        var done = await _host.FinishAsync(id);
        _host.Probe.Open("gate");
        Assert.Equal(OrchestrationRuntimeStatus.Terminated, done.RuntimeStatus);
        Assert.Equal("enough", done.ReadOutputAs<string>());
    }

    [Fact]
    public async Task A_suspended_orchestration_keeps_what_arrives_until_it_is_resumed()
    {
        var id = await _host.Client.ScheduleNewOrchestrationInstanceAsync(
            nameof(SampleOrchestrators.Collect), "abc", CancellationToken.None);
        await _host.Client.WaitForInstanceStartAsync(id);
        await _host.Client.SuspendInstanceAsync(id);
        await _host.Client.RaiseEventAsync(id, "letter", "d");
        Assert.Equal(OrchestrationRuntimeStatus.Suspended, (await _host.Client.GetInstanceAsync(id))!.RuntimeStatus);
        await _host.Client.ResumeInstanceAsync(id);
        Assert.Equal("abcd", (await _host.FinishAsync(id)).ReadOutputAs<string>());
    }

    [Fact]
    public async Task Sub_orchestrations_return_to_their_parent()
    {
        var done = await _host.RunAsync(nameof(SampleOrchestrators.Parent));
        Assert.Equal($"8 {done.InstanceId}-child of Parent got x", done.ReadOutputAs<string>());
    }

    [Fact]
    public async Task A_failed_sub_orchestration_fails_its_parent_with_the_cause_inside()
    {
        var done = await _host.RunAsync(nameof(SampleOrchestrators.ParentOfOne), nameof(SampleOrchestrators.LetFail));
        Assert.Equal(OrchestrationRuntimeStatus.Failed, done.RuntimeStatus);
        Assert.Equal("boom", done.FailureDetails!.InnerFailure!.InnerFailure!.ErrorMessage);
    }

    [Fact]
    public async Task Terminating_and_purging_reach_sub_orchestrations_when_asked_to()
    {
        var id = await _host.Client.ScheduleNewOrchestrationInstanceAsync(
            nameof(SampleOrchestrators.ParentOfOne), nameof(SampleOrchestrators.WaitForGate), CancellationToken.None);
        await _host.Probe.Gate("gate entered");
        await _host.Client.TerminateInstanceAsync(id, new TerminateInstanceOptions("enough", Recursive: true));
        Assert.Equal(OrchestrationRuntimeStatus.Terminated, (await _host.FinishAsync("only child")).RuntimeStatus);
        Assert.Equal(2, (await _host.Client.PurgeInstanceAsync(id, new PurgeInstanceOptions(Recursive: true))).PurgedInstanceCount);
    }

    [Fact]
    public async Task No_more_activities_run_at_once_than_allowed()
    {
        var ids = new List<string>();
        for (var number = 0; number < TestHost.MaxConcurrentActivities + 1; number++)
            ids.Add(await _host.Client.ScheduleNewOrchestrationInstanceAsync(
                nameof(SampleOrchestrators.WaitForGate), "gate", CancellationToken.None));
        await Task.WhenAll(ids.Select(id => _host.Client.WaitForInstanceStartAsync(id)));
        await Task.Delay(300);
        Assert.Equal(TestHost.MaxConcurrentActivities, _host.Probe.Count("gate"));
        _host.Probe.Open("gate");
        await Task.WhenAll(ids.Select(_host.FinishAsync));
        Assert.Equal(ids.Count, _host.Probe.Count("gate"));
    }

    [Fact]
    public async Task An_active_id_is_refused_and_one_that_has_ended_starts_again()
    {
        var twice = new StartOrchestrationOptions("twice");
        await _host.Client.ScheduleNewOrchestrationInstanceAsync(nameof(SampleOrchestrators.WaitForGate), "first", twice);
        var refusal = await Assert.ThrowsAsync<InvalidOperationException>(() =>
            _host.Client.ScheduleNewOrchestrationInstanceAsync(nameof(SampleOrchestrators.WaitForGate), "second", twice));
        Assert.Contains("'twice' is already", refusal.Message, StringComparison.Ordinal);
        _host.Probe.Open("first");
        _host.Probe.Open("second");
        Assert.Equal("first", (await _host.FinishAsync("twice")).ReadOutputAs<string>());
        await _host.Client.ScheduleNewOrchestrationInstanceAsync(nameof(SampleOrchestrators.WaitForGate), "second", twice);
        Assert.Equal("second", (await _host.FinishAsync("twice")).ReadOutputAs<string>());
    }

    [Fact]
    public async Task Purging_forgets_what_has_ended_and_leaves_what_is_active()
    {
        var ended = (await _host.RunAsync(nameof(SampleOrchestrators.FanOut), 0)).InstanceId;
        var active = await _host.Client.ScheduleNewOrchestrationInstanceAsync(
            nameof(SampleOrchestrators.WaitForGate), "purge", CancellationToken.None);
        Assert.Equal(1, (await _host.Client.PurgeInstanceAsync(ended)).PurgedInstanceCount);
        Assert.Equal(0, (await _host.Client.PurgeInstanceAsync(active)).PurgedInstanceCount);
        Assert.Null(await _host.Client.GetInstanceAsync(ended));
        Assert.Equal([active], await _host.Client.GetAllInstancesAsync().Select(instance => instance.InstanceId).ToListAsync());
    }

    [Fact]
    public async Task A_start_time_in_the_future_is_waited_for()
    {
        var startAt = DateTimeOffset.UtcNow.AddMilliseconds(400);
        var id = await _host.Client.ScheduleNewOrchestrationInstanceAsync(
            nameof(SampleOrchestrators.FanOut), 0, new StartOrchestrationOptions(StartAt: startAt));
        Assert.Equal(OrchestrationRuntimeStatus.Pending, (await _host.Client.GetInstanceAsync(id))!.RuntimeStatus);
        Assert.True((await _host.FinishAsync(id)).LastUpdatedAt >= startAt);
    }

    [Theory]
    [InlineData(nameof(WrongOrchestrators.AwaitsDelay), "awaits a task that did not come from its TaskOrchestrationContext")]
    [InlineData(nameof(WrongOrchestrators.RacesDelay), "awaits a task that did not come from its TaskOrchestrationContext")]
    [InlineData(nameof(WrongOrchestrators.LeavesItsThread), "awaits a task that did not come from its TaskOrchestrationContext")]
    [InlineData(nameof(WrongOrchestrators.ChangesItsMind), "Call #0 is activity 'Twice' in the history, but the code called timer")]
    public async Task Non_determinism_fails_the_orchestration_and_says_where(string orchestrator, string message)
    {
        var done = await _host.RunAsync(orchestrator);
        Assert.Equal(OrchestrationRuntimeStatus.Failed, done.RuntimeStatus);
        Assert.Contains(message, done.FailureDetails!.ErrorMessage, StringComparison.Ordinal);
        Assert.Contains($"'{orchestrator}', instance '{done.InstanceId}'", done.FailureDetails.ErrorMessage, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unknown_orchestrator_is_refused_by_name()
    {
        var refusal = await Assert.ThrowsAsync<ArgumentException>(() => _host.RunAsync("Nobody"));
        Assert.Contains("'Nobody'", refusal.Message, StringComparison.Ordinal);
    }
}
