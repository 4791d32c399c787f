using System.Net;
using System.Text;
using System.Text.Json;
using Google.Protobuf.WellKnownTypes;
using Microsoft.DurableTask.Protobuf;
using Microsoft.Extensions.Logging.Abstractions;
using RlhfFunctions.Contracts;
using RlhfFunctions.LocalHost.Hosting;
using RlhfFunctions.LocalHost.Worker;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.LocalHost;

/// <summary>The built app by itself, talked to as the Functions host talks to it, without any storage.</summary>
public sealed class WorkerTests(WorkerTests.RunningWorker running) : IClassFixture<WorkerTests.RunningWorker>
{
    [Fact]
    public void It_names_every_function_of_the_committed_table_and_no_other()
    {
        string table = File.ReadAllText(Path.Combine(Repository.Root, "tests", "Functions.Tests", "LocalHost", "functions.txt"));
        var lines = running.Worker.Functions.Values.OrderBy(function => function.Name, StringComparer.Ordinal)
            .SelectMany(function => function.Bindings.Select(binding => $"{function.Name} {binding.GetRawText()}"));
        Assert.Equal(table, string.Join('\n', lines) + "\n", ignoreLineEndingDifferences: true);
    }

    [Fact]
    public async Task An_activity_fails_in_words_that_the_engine_can_read()
    {
        var failure = await Assert.ThrowsAsync<WorkerFunctionException>(() => InvokeAsync(FunctionNames.PrepareModel, """{"source":"file:no/such/model"}"""));
        Assert.Contains("no/such/model", failure.Reason, StringComparison.Ordinal);
        Assert.Contains(typeof(InvalidInputException).FullName!, failure.Message, StringComparison.Ordinal); // which is not tried again
    }

    [Fact]
    public async Task An_orchestration_answers_its_first_episode_with_the_activity_to_call()
    {
        var episode = new OrchestratorRequest
        {
            InstanceId = "night",
            NewEvents =
            {
                new HistoryEvent { EventId = -1, Timestamp = Timestamp.FromDateTime(DateTime.UnixEpoch), OrchestratorStarted = new OrchestratorStartedEvent() },
                new HistoryEvent
                {
                    EventId = -1,
                    Timestamp = Timestamp.FromDateTime(DateTime.UnixEpoch),
                    ExecutionStarted = new ExecutionStartedEvent
                    {
                        Name = FunctionNames.NightlyEvaluation,
                        Input = """{"date":"2026-01-31"}""",
                        OrchestrationInstance = new OrchestrationInstance { InstanceId = "night" },
                    },
                },
            },
        };
        var answer = await InvokeAsync(FunctionNames.NightlyEvaluation, Convert.ToBase64String(Google.Protobuf.MessageExtensions.ToByteArray(episode)));
        var action = Assert.Single(OrchestratorResponse.Parser.ParseFrom(Convert.FromBase64String(answer!.String)).Actions);
        Assert.Equal(FunctionNames.EvaluateLatest, action.ScheduleTask.Name);
        Assert.Equal("""[{"date":"2026-01-31"}]""", action.ScheduleTask.Input);
    }

    [Fact]
    public async Task An_app_that_cannot_start_is_reported_in_one_paragraph_with_its_last_lines()
    {
        string folder = Directory.CreateTempSubdirectory("rlhf-broken-app-").FullName;
        await File.WriteAllTextAsync(Path.Combine(folder, "worker.config.json"), """{"description":{"defaultWorkerPath":"nothing.dll"}}""");
        var report = await Assert.ThrowsAsync<UserErrorException>(() => RunningWorker.StartAsync(AppFolder.Open(folder)));
        Directory.Delete(folder, recursive: true);
        Assert.Contains(folder, report.Message, StringComparison.Ordinal);
        Assert.Contains("exit code", report.Message, StringComparison.Ordinal);
        Assert.Contains("nothing.dll", report.Message, StringComparison.Ordinal); // dotnet's own words
        Assert.DoesNotContain('\n', report.Message);
        Assert.Throws<UserErrorException>(() => AppFolder.Open(folder));
    }

    [Theory]
    [InlineData(FunctionNames.GetReport, "GET", "")]
    [InlineData(FunctionNames.ListAdapters, "GET", "")]
    [InlineData(FunctionNames.Generate, "POST", """{"prompts":["a"]}""")]
    public async Task Without_its_storage_it_says_so_in_time_and_in_words(string function, string method, string body)
    {
        var answer = await CallAsync(function, new HttpRequestMessage(new HttpMethod(method), (Uri?)null)
        {
            Content = body.Length > 0 ? new StringContent(body, Encoding.UTF8, "application/json") : null,
        });
        Assert.True(answer.StatusCode == HttpStatusCode.ServiceUnavailable, $"{answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
        Assert.Equal(TimeSpan.FromSeconds(5), answer.Headers.RetryAfter?.Delta);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        using var problem = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        Assert.Equal("urn:rlhf:problem:storage-unavailable", problem.RootElement.GetProperty("type").GetString());
        Assert.Equal(answer.Headers.GetValues("x-correlation-id").Single(), problem.RootElement.GetProperty("correlationId").GetString());
    }

    /// <summary>As the host hands an HTTP request to the worker: by its invocation, and forwarded.</summary>
    private async Task<HttpResponseMessage> CallAsync(string function, HttpRequestMessage request)
    {
        using var client = new HttpClient();
        HttpResponseMessage? answer = null;
        var http = new RpcHttp();
        http.Params["id"] = "nobody";
        http.NullableParams["id"] = new NullableString { Value = "nobody" };
        var binding = new ParameterBinding { Name = "http", Data = new TypedData { Http = http } };
        await running.Worker.InvokeAsync(function, [binding], new Dictionary<string, string> { ["id"] = "nobody" }, ForwardAsync, TestContext.Current.CancellationToken);
        return answer!;

        async Task ForwardAsync(string invocation, Uri worker)
        {
            request.RequestUri = new Uri(worker, "/api/nobody");
            request.Headers.Add("x-ms-invocation-id", invocation);
            answer = await client.SendAsync(request);
            await answer.Content.LoadIntoBufferAsync();
        }
    }

    private Task<TypedData?> InvokeAsync(string function, string input)
    {
        string name = running.Worker.Functions[function].Bindings[0].GetProperty("name").GetString()!;
        var binding = new ParameterBinding { Name = name, Data = new TypedData { String = input } };
        return running.Worker.InvokeAsync(function, [binding], new Dictionary<string, string>(), alongside: null, TestContext.Current.CancellationToken);
    }

    /// <summary>One worker for all of these tests.</summary>
    public sealed class RunningWorker : IAsyncLifetime
    {
        internal FunctionsWorker Worker { get; private set; } = null!;

        internal static Task<FunctionsWorker> StartAsync(AppFolder app)
        {
            // A storage account that nobody serves: whatever needs one fails.
            var settings = new Dictionary<string, string> { ["AzureWebJobsStorage__blobServiceUri"] = "https://127.0.0.1:1/none", ["RlhfFileRoot"] = Repository.Root, ["RlhfLimits__AnswerSeconds"] = "2" };
            return FunctionsWorker.StartAsync(app, settings, NullLoggerFactory.Instance, CancellationToken.None);
        }

        public async ValueTask InitializeAsync()
        {
            Worker = await StartAsync(AppFolder.Open(AppFolder.Default));
        }

        public ValueTask DisposeAsync()
        {
            return Worker.DisposeAsync();
        }
    }
}
