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
            var settings = new Dictionary<string, string> { ["AzureWebJobsStorage__blobServiceUri"] = "https://127.0.0.1:1/none", ["RlhfFileRoot"] = Repository.Root };
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
