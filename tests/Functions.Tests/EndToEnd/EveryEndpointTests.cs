using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using RlhfFunctions.Campaigns;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.EndToEnd;

/// <summary>
/// Every operation of openapi.json with a good request, answered as the description says, and with a bad one, answered as a problem. One
/// that is added without its line here fails the test.
/// </summary>
[Collection(nameof(RunTests))]
public sealed class EveryEndpointTests(RunTests.FinishedRun finished)
{
    private const string Id = "every";
    private static readonly string TooLong = new('r', 501);

    private static readonly CampaignRequest Campaign = new()
    {
        CampaignId = Id,
        Model = new ModelSettings { Source = "file:samples/models/llama" },
        Dialogues = "file:samples/dialogues/validation.csv",
        Pairs = 2,
        GoldShare = 0,
        Generation = new GenerationSettings { MaxNewTokens = 4 },
    };

    private static readonly VotesMessage Votes = new()
    {
        Annotator = "ann",
        Votes = [new VoteMessage { Id = "vote-number-1", Pair = 0, Choice = ShownChoice.First, Seconds = 1 }],
    };

    /// <summary>In the order in which they are called. A bad request for what takes any is one by another method.</summary>
    private static readonly Call[] Calls =
    [
        new(FunctionNames.StartRun, "runs", "runs", TinyRun.Request(Id, steps: 500), new { }),
        new(FunctionNames.ListRuns, "runs?limit=1", "runs?limit=0"),
        new(FunctionNames.GetRun, "runs/whole", "runs/nobody"),
        new(FunctionNames.SuspendRun, $"runs/{Id}/suspend", "runs/whole/suspend", new { }, new { }) { Before = app => app.WaitAsync(Id, view => view.Status == "Running", Patience) },
        new(FunctionNames.ResumeRun, $"runs/{Id}/resume", "runs/whole/resume", new { }, new { }) { Before = app => app.WaitAsync(Id, view => view.Status == "Suspended", Patience) },
        new(FunctionNames.CancelRun, $"runs/{Id}/cancel", $"runs/{Id}/cancel?reason={TooLong}", new { }, new { }),
        new(FunctionNames.DeleteRun, $"runs/{Id}", "runs/nobody"),
        new(FunctionNames.ListEvents, "runs/whole/events", "runs/nobody/events"),
        new(FunctionNames.ListCheckpoints, "runs/whole/checkpoints", "runs/nobody/checkpoints"),
        new(FunctionNames.GetMetrics, "runs/whole/metrics", "runs/whole/metrics?from=-1"),
        new(FunctionNames.GetReport, "runs/whole/report", "runs/nobody/report"),
        new(FunctionNames.GetFile, "runs/whole/files/metrics.jsonl", "runs/whole/files/nothing"),
        new(FunctionNames.RunsPage, "pages/runs"),
        new(FunctionNames.ComparePage, "pages/compare?run=whole", "pages/compare?run=nobody"),
        new(FunctionNames.HistoryPage, "pages/history?run=whole", "pages/history?run=nobody"),
        new(FunctionNames.Generate, "generate", "generate", new { runId = "whole", prompts = new[] { "a" }, maxNewTokens = 1 }, new { }),
        new(FunctionNames.Score, "score", "score", new { runId = "whole", texts = new[] { "a" } }, new { runId = "whole", texts = Array.Empty<string>() }),
        new(FunctionNames.ChatCompletions, "v1/chat/completions", "v1/chat/completions", Chat("whole"), Chat("nobody")),
        new(FunctionNames.ListChatModels, "v1/models"),
        new(FunctionNames.ListAdapters, "adapters"),
        new(FunctionNames.PromoteAdapter, "adapters/every-twin/promote", "adapters/nobody/promote", new { }, new { }) { Before = PromoteAsync },
        new(FunctionNames.RollBackAdapter, "adapters/rollback", $"adapters/rollback?reason={TooLong}", new { }, new { }),
        new(FunctionNames.PutDialogues, "dialogues/every.csv", "dialogues/every.txt", "id,dialogue\n", "x"),
        new(FunctionNames.PutModelFile, $"models/{Id}/vocab.json", $"models/{Id}/weights.bin", "{}", "x"),
        new(FunctionNames.CompleteModel, $"models/{Id}", "models/nothing", new { }, new { }) { Before = UploadAsync },
        new(FunctionNames.ListModels, "models"),
        new(FunctionNames.StartCampaign, "campaigns", "campaigns", Campaign, new { }),
        new(FunctionNames.GetCampaign, $"campaigns/{Id}", "campaigns/nobody"),
        new(FunctionNames.GetCampaignPage, $"campaigns/{Id}/page", "campaigns/nobody/page"),
        new(FunctionNames.GetNextPairs, $"campaigns/{Id}/next?annotator=ann", $"campaigns/{Id}/next") { Before = OpenAsync },
        new(FunctionNames.AddVotes, $"campaigns/{Id}/votes", $"campaigns/{Id}/votes", Votes, new { }),
        new(FunctionNames.ExportVotes, $"campaigns/{Id}/export", $"campaigns/{Id}/export?format=x"),
        new(FunctionNames.GetVoteStatistics, $"campaigns/{Id}/statistics", "campaigns/nobody/statistics"),
        new(FunctionNames.StartReward, "rewards", "rewards", new RewardRequest { RewardId = "every-reward", CampaignId = Id, Base = Campaign.Model.Source }, new { }),
        new(FunctionNames.GetReward, "rewards/every-reward", "rewards/nobody"),
        new(FunctionNames.GetRewardReport, "rewards/every-trained/report", "rewards/nobody/report") { Before = PlantRewardAsync },
        new(FunctionNames.DeleteVotes, $"campaigns/{Id}/votes/ann", "campaigns/nobody/votes/ann"),
        new(FunctionNames.GetHealth, "health"),
        new(FunctionNames.GetReady, "ready"),
        new(FunctionNames.GetVersion, "version"),
        new(FunctionNames.GetOpenApi, "openapi.json"),
    ];

    private static TimeSpan Patience => TimeSpan.FromMinutes(2);

    [Fact]
    public async Task Every_operation_answers_a_good_request_as_described_and_a_bad_one_with_a_problem()
    {
        using var document = JsonDocument.Parse(await finished.App.Http.GetStringAsync(new Uri("/api/openapi.json", UriKind.Relative)));
        var described = document.RootElement.GetProperty("paths").EnumerateObject().SelectMany(path => path.Value.EnumerateObject())
            .ToDictionary(method => method.Value.GetProperty("operationId").GetString()!, method => (Method: method.Name, method.Value));
        Assert.Equal(described.Keys.Order(), Calls.Select(call => call.Operation).Order());
        foreach (var call in Calls)
        {
            if (call.Before is { } before) await before(finished.App);
            var (method, operation) = described[call.Operation];
            using var good = await SendAsync(method, call.Good, call.GoodBody);
            string usual = operation.GetProperty("responses").EnumerateObject().First().Name;
            Assert.True($"{(int)good.StatusCode}" == usual, $"{call.Operation}: {good.StatusCode} {await good.Content.ReadAsStringAsync()}");

            using var bad = call.Bad is null ? await SendAsync("DELETE", call.Good, null) : await SendAsync(method, call.Bad, call.BadBody);
            Assert.True((int)bad.StatusCode is >= 400 and < 500, $"{call.Operation}: {bad.StatusCode} {await bad.Content.ReadAsStringAsync()}");
            Assert.Equal("application/problem+json", bad.Content.Headers.ContentType?.MediaType);
            var problem = await bad.Content.ReadFromJsonAsync<JsonElement>();
            Assert.Equal((int)bad.StatusCode, problem.GetProperty("status").GetInt32());
            Assert.DoesNotMatch(@"System\.|Exception|RlhfFunctions", problem.GetProperty("detail").GetString());
        }

        using var gone = await SendAsync("DELETE", "runs/every-twin", null);
        Assert.True(gone.IsSuccessStatusCode);
    }

    private async Task<HttpResponseMessage> SendAsync(string method, string address, object? body)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method.ToUpperInvariant()), new Uri($"/api/{address}", UriKind.Relative));
        if (body is string text) request.Content = new StringContent(text, Encoding.UTF8, new MediaTypeHeaderValue("application/octet-stream"));
        else if (body is not null) request.Content = JsonContent.Create(body, body.GetType(), options: ContractsJson.Options);
        return await finished.App.Http.SendAsync(request);
    }

    private static object Chat(string model)
    {
        return new { model, max_tokens = 1, messages = new[] { new { role = "user", content = "a" } } };
    }

    private static async Task PromoteAsync(LocalApp app)
    {
        await app.PlantTwinAsync("whole", "every-twin");
        using var promoted = await app.Http.PostAsJsonAsync("/api/adapters/whole/promote", new { });
        Assert.True(promoted.IsSuccessStatusCode);
    }

    private static async Task UploadAsync(LocalApp app)
    {
        foreach (string file in new[] { "config.json", "model.safetensors" })
        {
            using var content = new ByteArrayContent(await File.ReadAllBytesAsync(Path.Combine(Repository.Root, "samples", "models", "judge", file)));
            using var put = await app.Http.PutAsync(new Uri($"/api/models/{Id}/{file}", UriKind.Relative), content);
            Assert.True(put.IsSuccessStatusCode);
        }
    }

    private static async Task OpenAsync(LocalApp app)
    {
        for (var deadline = DateTime.UtcNow + Patience; ; await Task.Delay(100))
        {
            if ((await app.Http.GetFromJsonAsync<CampaignView>($"/api/campaigns/{Id}", ContractsJson.Options))!.Status == "Open") return;
            Assert.True(DateTime.UtcNow < deadline, "The campaign does not open.");
        }
    }

    /// <summary>A reward model that was never trained: its report is all that is looked at.</summary>
    private static async Task PlantRewardAsync(LocalApp app)
    {
        const string Name = "every-trained", Report = $"models/{Name}/0123456789abcdef0123456789abcdef/{RewardRecords.ReportFile}";
        var metric = new MetricSummary(0.9, 0.1, 0.8, 0.95, 10);
        var outcome = new RewardOutcome(Name, BlobPaths.Model(Name), "better", new RewardReport
        {
            Comparisons = 10,
            Decided = 10,
            Accuracy = metric,
            ShorterAccuracy = metric,
            LeadOverShorter = metric,
            Brier = 0.1,
            CalibrationError = 0.1,
            Reliability = [new ReliabilityBin(0.9, 0.9, 10)],
            LengthCorrelation = 0,
        });
        byte[] report = JsonSerializer.SerializeToUtf8Bytes(outcome, ContractsJson.Options);
        string sha256 = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(report));
        await app.WriteBlobAsync(Report, BinaryData.FromBytes(report));
        await app.WriteBlobAsync($"models/{Name}/manifest.json", BinaryData.FromObjectAsJson(
            new { Files = new[] { new { Name = RewardRecords.ReportFile, Blob = Report, report.Length, Sha256 = sha256 } }, Result = Name }, ContractsJson.Options));
        await app.WriteBlobAsync(BlobPaths.Reward(Name), BinaryData.FromObjectAsJson(new RewardRequest { RewardId = Name, CampaignId = Id, Base = Campaign.Model.Source }, ContractsJson.Options));
    }

    /// <summary>An operation, a good address and a bad one below /api, and their bodies: JSON, or a file where it is a text.</summary>
    private sealed record Call(string Operation, string Good, string? Bad = null, object? GoodBody = null, object? BadBody = null)
    {
        public Func<LocalApp, Task>? Before { get; init; }
    }
}
