using System.Net.Http.Json;
using Azure.Identity;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.EndToEnd;
using RlhfFunctions.Telemetry;

namespace RlhfFunctions.Functions.Tests.Telemetry;

/// <summary>What a collector hears of a run of the whole app: host, engine and worker.</summary>
public sealed class TelemetryTests(TelemetryTests.ObservedRun observed) : IClassFixture<TelemetryTests.ObservedRun>
{
    [Fact]
    public void A_stage_of_the_work_leads_back_to_the_request_that_started_the_run()
    {
        var path = observed.PathOf(observed.Trace.First(span => span.Span.Name == "epoch"));
        string[] names = [.. path.Select(span => span.Span.Name.Split('@')[0])];
        Assert.Equal(["epoch", "update", "function PpoUpdate", "activity:PpoUpdate", "activity:PpoUpdate", "orchestration:RlhfRun"], names.Take(6));
        Assert.Contains("create_orchestration:RlhfRun", names);
        Assert.Contains("function StartRun", names);
        Assert.Equal("POST /api/runs", names[^1]);
    }

    [Fact]
    public void Every_span_of_the_run_has_its_parent_and_lies_within_its_time()
    {
        var byId = observed.Trace.ToDictionary(span => span.Id);
        foreach (var span in observed.Trace.Where(span => span.Parent.Length > 0))
        {
            Assert.True(byId.TryGetValue(span.Parent, out var parent), $"{span.Source} {span.Span.Name} has a parent that was never heard of.");
            if (span.Source == "RlhfFunctions") Assert.InRange(span.Span.StartTimeUnixNano, parent.Span.StartTimeUnixNano, parent.Span.EndTimeUnixNano);
        }
    }

    [Fact]
    public void Every_activity_and_every_stage_says_whose_it_is()
    {
        string[] activities =
        [
            FunctionNames.PrepareModel, FunctionNames.PrepareAdapter, FunctionNames.PrepareDataset, FunctionNames.Evaluate, FunctionNames.RolloutShard,
            FunctionNames.PpoUpdate, FunctionNames.PublishAdapter,
        ];
        foreach (string activity in activities)
        {
            Assert.Contains(observed.Trace, span => span.Span.Name == $"function {activity}" && span[RunTag.Name] == ObservedRun.Id);
            Assert.Contains(observed.Trace, span => span.Source == "DurableTask.Core" && span["durabletask.task.name"] == activity && span["durabletask.task.instance_id"] == ObservedRun.Id);
        }

        string[] stages = ["load", "wait", "generate", "score", "classify", "update", "epoch"];
        Assert.Equal(stages.Order(), observed.Trace.Where(span => span.Source == "RlhfFunctions").Select(span => span.Span.Name).Distinct().Order());
        Assert.All(observed.Trace.Where(span => span.Source == "RlhfFunctions"), span => Assert.Equal(ObservedRun.Id, span[RunTag.Name]));
    }

    [Fact]
    public void Metrics_count_steps_and_tokens_and_time_the_activities()
    {
        Assert.Equal(ObservedRun.Steps, observed.Last("rlhf.steps").Sum.DataPoints.Single().AsInt);
        Assert.InRange(observed.Last("rlhf.rollout.tokens").Sum.DataPoints.Single().AsInt, ObservedRun.Steps * 8, ObservedRun.Steps * 8 * 16);
        Assert.Equal(0, observed.Last("rlhf.compute.waiting").Sum.DataPoints.Single().AsInt);
        var updates = observed.Last("rlhf.activity.duration").Histogram.DataPoints.Single(point => point.Attributes.Any(one => one.Value.StringValue == FunctionNames.PpoUpdate));
        Assert.Equal((ulong)ObservedRun.Steps, updates.Count);
        Assert.Contains(updates.Attributes, one => one is { Key: "rlhf.outcome", Value.StringValue: "succeeded" });
        var last = observed.View.Progress!.LastStep!;
        Assert.Equal(last.Reward, observed.Last("rlhf.reward").Gauge.DataPoints.Single().AsDouble, 12);
        Assert.Equal(last.Kl!.Value, observed.Last("rlhf.kl").Gauge.DataPoints.Single().AsDouble, 12);
        Assert.Equal(last.TokensPerSecond!.Value, observed.Last("rlhf.rollout.tokens_per_second").Gauge.DataPoints.Single().AsDouble, 6);
        Assert.Contains(observed.Last("rlhf.label_probability").Gauge.DataPoints.Single().Attributes, one => one.Key == RunTag.Name && one.Value.StringValue == ObservedRun.Id);
    }

    [Fact]
    public void Logs_are_part_of_the_trace_and_carry_the_run()
    {
        var imported = observed.Collector.Logs.Where(log => log.Attributes.Any(one => one is { Key: "Source", Value.StringValue: "file:samples/models/judge" })).ToList();
        Assert.NotEmpty(imported);
        Assert.All(imported, log =>
        {
            Assert.Contains(log.Attributes, one => one.Key == RunTag.Name && one.Value.StringValue == ObservedRun.Id);
            Assert.Equal(observed.Trace[0].Span.TraceId, log.TraceId);
        });
    }

    [Fact]
    public void Azure_Monitor_hears_the_same_where_it_is_set()
    {
        Assert.Contains(observed.Collector.Monitored, line => line.Contains("\"function PpoUpdate\"", StringComparison.Ordinal) && line.Contains($"\"{RunTag.Name}\":\"{ObservedRun.Id}\"", StringComparison.Ordinal));
        Assert.Contains(observed.Collector.Monitored, line => line.Contains("\"rlhf.steps\"", StringComparison.Ordinal));
    }

    [Fact]
    public void Azure_Monitor_is_told_by_the_identity_that_is_named_or_by_the_key_of_the_connection_string()
    {
        Assert.Null(TelemetryServices.Credential(null));
        Assert.Null(TelemetryServices.Credential("ClientId=11111111-2222-3333-4444-555555555555"));
        Assert.IsType<ManagedIdentityCredential>(TelemetryServices.Credential("ClientId=11111111-2222-3333-4444-555555555555;Authorization=AAD")); // as infra/bicep sets it
        Assert.IsType<ManagedIdentityCredential>(TelemetryServices.Credential("Authorization=AAD"));
    }

    [Fact]
    public void No_text_and_no_key_is_told()
    {
        Assert.True(observed.Collector.Heard(ObservedRun.Id)); // it does hear
        foreach (string secret in new[] { "#Person1#", ObservedRun.Prompt, ObservedRun.Malformed, ObservedRun.Key }) Assert.False(observed.Collector.Heard(secret), secret);
    }

    /// <summary>One run, and a few requests with what must stay unheard.</summary>
    public sealed class ObservedRun : IAsyncLifetime
    {
        public const string Id = "observed";
        public const int Steps = 9; // more than a generation of the orchestration
        public const string Prompt = "whispered-prompt";
        public const string Malformed = "whispered-mistake";
        public const string Key = "whispered-key";

        private readonly LocalApp _app = new();

        internal Collector Collector { get; private set; } = null!;

        internal RunView View { get; private set; } = null!;

        /// <summary>The spans of the trace that the run's request began, in order.</summary>
        internal IReadOnlyList<CollectedSpan> Trace { get; private set; } = [];

        public async ValueTask InitializeAsync()
        {
            Collector = await Collector.StartAsync();
            await _app.StartAsync(Collector.Environment);
            using var accepted = await _app.PostRunAsync(TinyRun.Request(Id, Steps));
            View = await _app.WaitAsync(Id, view => view.Status == "Completed", TimeSpan.FromMinutes(4));
            using var written = await _app.Http.PostAsJsonAsync($"/api/generate?code={Key}", new { runId = Id, prompts = new[] { Prompt } });
            using var refused = await _app.Http.PostAsJsonAsync($"/api/generate?code={Key}", new { prompts = Malformed });
            Assert.True(written.IsSuccessStatusCode);
            Assert.False(refused.IsSuccessStatusCode);

            // The orchestration's span ends last; metrics and logs come a little later.
            for (var deadline = DateTime.UtcNow.AddSeconds(60); DateTime.UtcNow < deadline && !IsWhole(); await Task.Delay(100))
            {
            }

            await Task.Delay(1000);
            var root = Collector.Spans.First(span => span.Span.Name == "POST /api/runs");
            Trace = [.. Collector.Spans.Where(span => span.Span.TraceId == root.Span.TraceId).DistinctBy(span => span.Id).OrderBy(span => span.Span.StartTimeUnixNano)];
        }

        public async ValueTask DisposeAsync()
        {
            _app.Dispose();
            await Collector.DisposeAsync();
        }

        internal Metric Last(string name)
        {
            return Collector.Metrics.Last(metric => metric.Name == name);
        }

        /// <summary>A span, its parent, and so on up to the root.</summary>
        internal IReadOnlyList<CollectedSpan> PathOf(CollectedSpan span)
        {
            var path = new List<CollectedSpan> { span };
            while (Trace.FirstOrDefault(other => other.Id == path[^1].Parent) is { } parent) path.Add(parent);
            return path;
        }

        private bool IsWhole()
        {
            return Collector.Spans.Any(span => span.Span.Name.StartsWith("orchestration:", StringComparison.Ordinal))
                && Collector.Spans.Count(span => span.Span.Name == "POST /api/generate") == 2
                && Collector.Monitored.Any(line => line.Contains("\"function PpoUpdate\"", StringComparison.Ordinal))
                && Collector.Monitored.Any(line => line.Contains("\"rlhf.steps\"", StringComparison.Ordinal));
        }
    }
}
