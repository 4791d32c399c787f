using System.Collections.Concurrent;
using Azure.Core;
using Azure.Core.Pipeline;
using Azure.Storage.Blobs;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.DurableTask.Client;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.EndToEnd;
using RlhfFunctions.Hosting;
using RlhfFunctions.Http;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Runs;

/// <summary>What a list of runs costs, and what a run that is taken up again brings with it.</summary>
public sealed class RunRecordsTests(AzuriteFixture azurite)
{
    private readonly string _prefix = $"l{Guid.NewGuid():n}"[..12];

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_page_of_runs_is_one_read_however_many_there_are()
    {
        var counter = new RequestCounter();
        await using var host = Host(counter);
        var records = host.GetRequiredService<RunRecords>();
        await using var engine = new StubEngine();
        for (int i = 0; i < 20; i++)
        {
            var request = TinyRun.Request($"{_prefix}-{i:D2}") with { Name = $"Number {i}", Tags = [_prefix] };
            await host.GetRequiredService<RunRequests>().TryRecordAsync(request, Stop);
            engine.Add(await records.FirstStateAsync(request, Stop), i < 10 ? OrchestrationRuntimeStatus.Completed : OrchestrationRuntimeStatus.Running);
        }

        counter.Seen.Clear();
        var first = await records.ListAsync(engine, new RunListQuery(15) { Tag = _prefix }, Stop);
        // Runs of other tests lie in the same container, and this engine does not know them.
        var ours = counter.Seen.Where(address => address.Contains(_prefix, StringComparison.Ordinal) || address.Contains("comp=list", StringComparison.Ordinal));
        Assert.Contains("comp=list", Assert.Single(ours), StringComparison.Ordinal);
        var second = await records.ListAsync(engine, new RunListQuery(15) { Tag = _prefix, After = first[^1].RunId }, Stop);
        Assert.Equal((15, 5), (first.Count, second.Count));
        Assert.Equal(20, first.Concat(second).Select(run => run.RunId).Distinct().Count());
        Assert.All(first.Concat(second), run => Assert.Equal($"Number {int.Parse(run.RunId[^2..], null)}", run.Name));
        var whole = await records.FindAsync(engine, first[0].RunId, Stop);
        Assert.Equal(whole!.CreatedAt, first[0].CreatedAt);
    }

    [Fact]
    public async Task A_run_that_the_engine_has_forgotten_is_listed_as_before()
    {
        await using var host = Host();
        var request = TinyRun.Request($"{_prefix}-gone") with { Name = "Gone", Tags = [_prefix] };
        await host.GetRequiredService<RunRequests>().TryRecordAsync(request, Stop);
        await using var engine = new StubEngine();
        var listed = Assert.Single(await host.GetRequiredService<RunRecords>().ListAsync(engine, new RunListQuery(5) { Tag = _prefix }, Stop));
        Assert.Equal(("Gone", "NotStarted"), (listed.Name, listed.Status));
    }

    [Fact]
    public async Task A_run_that_is_taken_up_again_goes_on_counting_what_it_has_used()
    {
        await using var host = Host();
        var request = TinyRun.Request($"{_prefix}-up");
        await host.GetRequiredService<RunRequests>().TryRecordAsync(request, Stop);
        await using var engine = new StubEngine();
        var generation = await host.GetRequiredService<RunRecords>().FirstStateAsync(request, Stop); // as its last generation began
        var usage = new RunUsage { PrepareSeconds = 1, RolloutSeconds = 20, UpdateSeconds = 30, EvaluateSeconds = 4, ResponseTokens = 500 };
        var progress = new RunProgress { Phase = RunPhase.Learning, Step = 5, Steps = 9, Usage = usage, Timings = new RunTimings(1, 10, 30, 4) };
        engine.Add(generation, OrchestrationRuntimeStatus.Failed, progress);

        Assert.Null(await host.GetRequiredService<RunControl>().ResumeAsync(engine, request.RunId!, "on", Stop));
        var state = Assert.IsType<RlhfRunState>(Assert.Single(engine.Started).Input);
        Assert.Equal((5, usage, progress.Timings, true), (state.Step, state.Usage, state.Timings, state.IsRestarted));
    }

    [Theory]
    [InlineData(1, 429)]
    [InlineData(2, 202)]
    public async Task No_more_runs_are_taken_up_again_than_may_be_under_way(int limit, int status)
    {
        await using var host = Host(limit: limit);
        await using var engine = new StubEngine();
        foreach (var (name, state) in new[] { ("failed", OrchestrationRuntimeStatus.Failed), ("runs", OrchestrationRuntimeStatus.Running) })
        {
            var request = TinyRun.Request($"{_prefix}-{limit}{name}");
            await host.GetRequiredService<RunRequests>().TryRecordAsync(request, Stop);
            engine.Add(await host.GetRequiredService<RunRecords>().FirstStateAsync(request, Stop), state);
        }

        var http = new DefaultHttpContext { RequestServices = new ServiceCollection().AddLogging().AddControllers().Services.BuildServiceProvider() };
        http.Response.Body = new MemoryStream();
        var answer = await ActivatorUtilities.CreateInstance<ControlRun>(host).Resume(http.Request, $"{_prefix}-{limit}failed", engine);
        await answer.ExecuteResultAsync(new ActionContext { HttpContext = http });
        Assert.Equal(status, http.Response.StatusCode);
        Assert.Equal(status == 429 ? "60" : "", http.Response.Headers.RetryAfter.ToString());
        Assert.Equal(status == 429 ? 0 : 1, engine.Started.Count);
    }

    private ServiceProvider Host(HttpPipelinePolicy? watch = null, int limit = 200)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection([new("AzureWebJobsStorage", azurite.ConnectionString), new("RlhfLimits:UnfinishedRuns", $"{limit}")]).Build();
        var services = new ServiceCollection().AddRlhf(configuration);
        var options = new BlobClientOptions();
        if (watch is not null) options.AddPolicy(watch, HttpPipelinePosition.PerCall);
        return services.AddSingleton(azurite.Connect(options)).BuildServiceProvider();
    }

    /// <summary>Remembers the address of every request to the storage.</summary>
    private sealed class RequestCounter : HttpPipelineSynchronousPolicy
    {
        public ConcurrentQueue<string> Seen { get; } = new();

        public override void OnSendingRequest(HttpMessage message)
        {
            Seen.Enqueue(message.Request.Uri.ToString());
        }
    }
}
