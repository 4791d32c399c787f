using System.Collections.Concurrent;
using System.Text;
using Azure.Core;
using Azure.Core.Pipeline;
using Azure.Storage.Blobs;
using Microsoft.DurableTask;
using Microsoft.DurableTask.Client;
using RlhfFunctions.LocalHost.Durable;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.Functions.Tests.LocalHost;

/// <summary>A host may end at any moment, gently or not; the next one goes on from what lies in storage.</summary>
public sealed class RecoveryTests(AzuriteFixture azurite)
{
    private static readonly Type[] Functions = [typeof(SampleActivities), typeof(SampleOrchestrators)];
    private readonly string _taskHub = AzuriteFixture.NewContainerName();

    [Fact]
    public async Task An_activity_cut_off_by_a_stop_is_not_a_failure_and_runs_again_on_the_next_start()
    {
        string id;
        await using (var host = await TestHost.StartAsync(azurite.Blobs, _taskHub, Functions))
        {
            id = await host.Client.ScheduleNewOrchestrationInstanceAsync(
                nameof(SampleOrchestrators.WaitForGate), "gate", CancellationToken.None);
            await host.Probe.Gate("gate entered");
        }
        await using var next = await TestHost.StartAsync(azurite.Blobs, _taskHub, Functions);
        Assert.Equal(OrchestrationRuntimeStatus.Running, (await next.Client.GetInstanceAsync(id))!.RuntimeStatus);
        next.Probe.Open("gate");
        Assert.Equal("gate", (await next.FinishAsync(id)).ReadOutputAs<string>());
        Assert.Equal(1, next.Probe.Count("gate"));
    }

    [Fact]
    public async Task Results_that_were_recorded_are_not_computed_again()
    {
        string id;
        await using (var host = await TestHost.StartAsync(azurite.Blobs, _taskHub, Functions))
        {
            id = await host.Client.ScheduleNewOrchestrationInstanceAsync(
                nameof(SampleOrchestrators.Collect), "abc", CancellationToken.None);
            await host.Client.WaitForInstanceStartAsync(id);
            await host.Client.SuspendInstanceAsync(id);
            await host.Client.RaiseEventAsync(id, "letter", "d");
        }
        await using var next = await TestHost.StartAsync(azurite.Blobs, _taskHub, Functions);
        await next.Client.ResumeInstanceAsync(id);
        Assert.Equal("abcd", (await next.FinishAsync(id)).ReadOutputAs<string>());
    }

    /// <summary>Every write is a moment at which the process may have died: a fresh host is given just what was stored then.</summary>
    [Theory]
    [InlineData(nameof(SampleOrchestrators.FanOut), 3, "[2,4,6]")]
    [InlineData(nameof(SampleOrchestrators.Retry), 3, "\"FailTwice\"")]
    [InlineData(nameof(SampleOrchestrators.Parent), null, "\"8 parent-child of Parent got x\"")]
    public async Task Any_stored_moment_can_be_resumed_and_ends_the_same(string orchestrator, object? input, string output)
    {
        var writes = new Recorder();
        var recording = new BlobClientOptions();
        recording.AddPolicy(writes, HttpPipelinePosition.PerCall);
        var probe = new Probe();
        await using (var host = await TestHost.StartAsync(azurite.Connect(recording), _taskHub, Functions, probe))
        {
            await host.Client.ScheduleNewOrchestrationInstanceAsync(orchestrator, input, new StartOrchestrationOptions("parent"));
            Assert.Equal(output, (await host.FinishAsync("parent")).SerializedOutput);
        }

        var stored = writes.Instances.ToList();
        Assert.True(stored.Count >= 3);
        for (var moment = 1; moment <= stored.Count; moment += 2)
        {
            var taskHub = azurite.Blobs.GetBlobContainerClient(AzuriteFixture.NewContainerName());
            await taskHub.CreateAsync();
            foreach (var (name, content) in stored.Take(moment))
                await taskHub.GetBlobClient(name).UploadAsync(new BinaryData(content), overwrite: true);
            await using var next = await TestHost.StartAsync(azurite.Blobs, taskHub.Name, Functions, probe);
            Assert.Equal(output, (await next.FinishAsync("parent")).SerializedOutput);
        }
    }

    [Fact]
    public async Task A_corrupt_instance_is_named_and_the_others_go_on()
    {
        var hub = azurite.Blobs.GetBlobContainerClient(_taskHub);
        await hub.CreateAsync();
        await hub.UploadBlobAsync("instances/broken.json", new BinaryData("{ \"instanceId\": \"bro"));
        await using var host = await TestHost.StartAsync(azurite.Blobs, _taskHub, Functions);
        Assert.Contains(host.Log, line => line.Contains($"'{_taskHub}/instances/broken.json'", StringComparison.Ordinal));
        Assert.Equal("[2]", (await host.RunAsync(nameof(SampleOrchestrators.FanOut), 1)).SerializedOutput);
    }

    [Fact]
    public async Task A_second_host_on_the_same_task_hub_is_refused_and_stops()
    {
        await using var first = await TestHost.StartAsync(azurite.Blobs, _taskHub, Functions);
        var id = await first.Client.ScheduleNewOrchestrationInstanceAsync(
            nameof(SampleOrchestrators.Collect), "", CancellationToken.None);
        await first.Client.WaitForInstanceStartAsync(id);
        var second = await TestHost.StartAsync(azurite.Blobs, _taskHub, Functions);
        await first.Client.RaiseEventAsync(id, "letter", "a");
        await Assert.ThrowsAsync<SecondHostException>(() => second.Client.RaiseEventAsync(id, "letter", "b"));
        var refusal = await Assert.ThrowsAnyAsync<UserErrorException>(() => second.WaitForShutdownAsync());
        Assert.Contains("Only one local host may work on a task hub", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(OrchestrationRuntimeStatus.Running, (await first.Client.GetInstanceAsync(id))!.RuntimeStatus);
    }

    private sealed class Recorder : HttpPipelineSynchronousPolicy
    {
        public ConcurrentQueue<(string Name, string Content)> Instances { get; } = [];

        public override void OnSendingRequest(HttpMessage message)
        {
            var path = Uri.UnescapeDataString(message.Request.Uri.ToUri().AbsolutePath);
            var at = path.IndexOf("instances/", StringComparison.Ordinal);
            if (message.Request.Method != RequestMethod.Put || at < 0)
                return;
            using var content = new MemoryStream();
            message.Request.Content!.WriteTo(content, CancellationToken.None);
            Instances.Enqueue((path[at..], Encoding.UTF8.GetString(content.ToArray())));
        }
    }
}
