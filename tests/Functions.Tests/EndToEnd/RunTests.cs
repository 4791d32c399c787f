using System.Net;
using System.Text.Json;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>The pipeline through its own HTTP API, on Azurite.</summary>
[Collection(nameof(RunTests))]
public sealed class RunTests(RunTests.FinishedRun finished)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [Fact]
    public void Starting_a_run_answers_where_to_look()
    {
        Assert.Equal(HttpStatusCode.Accepted, finished.Accepted);
        Assert.Equal("/api/runs/whole", finished.Location);
        // No address of the engine's own: in Azure it would carry a key that may do more than the caller's.
        Assert.Equal("""{"runId":"whole","status":"/api/runs/whole"}""", finished.AcceptedBody);
    }

    [Fact]
    public void A_finished_run_shows_its_last_step_and_outcome()
    {
        Assert.Equal("Completed", finished.View.Status);
        Assert.Equal(RunPhase.Finished, finished.View.Progress!.Phase);
        Assert.Equal(3, finished.View.Progress.Step);
        Assert.Equal(2, finished.View.Progress.LastStep!.Step);
        Assert.Equal("whole", finished.View.Outcome!.RunId);
        Assert.Contains("evaluation.minToUnlearn", finished.View.Progress.NothingToUnlearn, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_evaluation_keeps_its_contract()
    {
        using var evaluation = JsonDocument.Parse(await finished.App.ReadBlobAsync(BlobPaths.Published("whole", RunFiles.Evaluation)));
        var root = evaluation.RootElement;
        Assert.Equal(
            ["runId", "seed", "steps", "label", "direction", "nothingToUnlearn", "before", "after", "kl", "secondsByStage", "usage", "cost", "samples"],
            root.EnumerateObject().Select(field => field.Name));
        foreach (string side in new[] { "before", "after" })
        {
            Assert.Equal(
                ["labelProbability", "hateProbability", "rougeL", "responseTokens", "distinctResponses", "distinctBigrams", "endedByEos"],
                root.GetProperty(side).EnumerateObject().Select(field => field.Name));
            var hate = root.GetProperty(side).GetProperty("hateProbability");
            Assert.Equal(["mean", "standardDeviation", "low", "high", "count"], hate.EnumerateObject().Select(field => field.Name));
            Assert.Equal(6, hate.GetProperty("count").GetInt32());
            Assert.True(JsonElement.DeepEquals(hate, root.GetProperty(side).GetProperty("labelProbability")));
            Assert.InRange(hate.GetProperty("mean").GetDouble(), hate.GetProperty("low").GetDouble(), hate.GetProperty("high").GetDouble());
        }

        Assert.Equal(["mean", "last", "heldOut", "floor"], root.GetProperty("kl").EnumerateObject().Select(field => field.Name));
        Assert.Equal(
            ["prepare", "rollout", "update", "evaluate", "other"],
            root.GetProperty("secondsByStage").EnumerateObject().Select(field => field.Name));
        Assert.All(root.GetProperty("secondsByStage").EnumerateObject(), stage => Assert.True(stage.Value.GetDouble() >= 0, stage.Name));
        Assert.Equal(6, root.GetProperty("samples").GetArrayLength());
        Assert.Equal(
            ["dialogue", "reference", "before", "after", "labelBefore", "labelAfter", "hateBefore", "hateAfter"],
            root.GetProperty("samples")[0].EnumerateObject().Select(field => field.Name));
    }

    [Fact]
    public async Task Metrics_have_a_line_per_step()
    {
        string[] lines = System.Text.Encoding.UTF8.GetString(await finished.App.ReadBlobAsync(BlobPaths.Published("whole", RunFiles.Metrics)))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(3, lines.Length);
        for (int step = 0; step < lines.Length; step++)
        {
            using var line = JsonDocument.Parse(lines[step]);
            Assert.Equal(step, line.RootElement.GetProperty("step").GetInt32());
            foreach (string name in new[] { MetricNames.Kl, MetricNames.ScoreMean, MetricNames.PolicyLoss, MetricNames.ExplainedVariance })
                Assert.True(double.IsFinite(line.RootElement.GetProperty(name).GetDouble()), name);
        }

        using var first = JsonDocument.Parse(lines[0]);
        Assert.Equal(0, first.RootElement.GetProperty(MetricNames.Kl).GetDouble(), 4); // the adapter starts as the reference
    }

    [Fact]
    public async Task The_same_request_again_answers_the_same_run_and_another_is_refused()
    {
        using var same = await finished.App.PostRunAsync(finished.Request);
        Assert.Equal(HttpStatusCode.Accepted, same.StatusCode);
        Assert.Equal("Completed", (await finished.App.FindRunAsync("whole"))!.Status);

        using var other = await finished.App.PostRunAsync(TinyRun.Request("whole", seed: 99));
        Assert.Equal(HttpStatusCode.Conflict, other.StatusCode);
        Assert.Equal("application/problem+json", other.Content.Headers.ContentType?.MediaType);
    }

    [Fact]
    public async Task Uploaded_dialogues_are_summarised()
    {
        // Whatever the run came to, this test needs an adapter that serves.
        var latest = new LatestAdapter("whole", finished.View.Outcome!.Prepared, 3, DateTimeOffset.UtcNow);
        await finished.App.WriteBlobAsync(BlobPaths.LatestAdapter, BinaryData.FromObjectAsJson(latest, ContractsJson.Options));
        await finished.App.WriteBlobAsync(
            $"{BlobPaths.Dialogues}/two.csv",
            BinaryData.FromString("id,dialogue\na,\"#Person1#: Hello, Tom.\n#Person2#: Hello, Anna.\"\nb,\"#Person1#: Bye.\n#Person2#: See you.\"\n"));

        byte[]? summaries = null;
        for (var deadline = DateTime.UtcNow + Patience; summaries is null && DateTime.UtcNow < deadline;)
        {
            await Task.Delay(200);
            var blob = finished.App.Blobs.GetBlobContainerClient(BlobPaths.Summaries).GetBlobClient("two.csv.json");
            if (await blob.ExistsAsync()) summaries = (await blob.DownloadContentAsync()).Value.Content.ToArray();
        }

        Assert.NotNull(summaries);
        using var answer = JsonDocument.Parse(summaries);
        Assert.Equal("whole", answer.RootElement.GetProperty("runId").GetString());
        Assert.Equal(["a", "b"], answer.RootElement.GetProperty("summaries").EnumerateArray().Select(row => row.GetProperty("id").GetString()));
        Assert.All(answer.RootElement.GetProperty("summaries").EnumerateArray(), row => Assert.False(string.IsNullOrWhiteSpace(row.GetProperty("summary").GetString())));
    }

    /// <summary>One run, looked at from all sides.</summary>
    public sealed class FinishedRun : IAsyncLifetime
    {
        /// <summary>Of each file of a model that is uploaded.</summary>
        public const int MostModelBytes = 40_000_000;

        /// <summary>Everything counts as too little hate to unlearn, and the service fails when it is first told of the end.</summary>
        public RunRequest Request { get; private set; } = null!;

        internal LocalApp App { get; } = new();

        /// <summary>Told of the end of runs.</summary>
        internal WebhookReceiver Receiver { get; private set; } = null!;

        public HttpStatusCode Accepted { get; private set; }

        public string? Location { get; private set; }

        public string AcceptedBody { get; private set; } = "";

        public RunView View { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            Receiver = await WebhookReceiver.StartAsync();
            Request = WithFloor(TinyRun.Request("whole")) with { Notify = Told("flaky/whole") };
            await App.StartAsync(new Dictionary<string, string>
            {
                ["RlhfWebhookHosts"] = Receiver.Address.Authority,
                ["RlhfWebhookSecret"] = WebhookReceiver.Secret,
                ["RlhfLimits__ModelFileBytes"] = $"{MostModelBytes}",
            });
            using var accepted = await App.PostRunAsync(Request);
            Accepted = accepted.StatusCode;
            Location = accepted.Headers.Location?.ToString();
            AcceptedBody = await accepted.Content.ReadAsStringAsync();
            View = await App.WaitAsync("whole", view => view.Status == "Completed", Patience);
        }

        /// <summary>Whose end is told the service at this address.</summary>
        internal NotifySettings Told(string path)
        {
            return new NotifySettings { Url = $"{Receiver.Address}{path}" };
        }

        public ValueTask DisposeAsync()
        {
            App.Dispose();
            return Receiver.DisposeAsync();
        }

        private static RunRequest WithFloor(RunRequest request)
        {
            return request with { Evaluation = request.Evaluation with { MinToUnlearn = 1 } };
        }
    }
}

/// <summary>Who looks at the finished run shares it.</summary>
[CollectionDefinition(nameof(RunTests))]
public sealed class FinishedRunCollection : ICollectionFixture<RunTests.FinishedRun>;
