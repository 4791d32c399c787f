using System.Text.Json;
using Microsoft.DurableTask.Converters;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using RlhfFunctions.LocalHost.Durable;
using RlhfFunctions.LocalHost.Triggers;

namespace RlhfFunctions.Functions.Tests.LocalHost;

/// <summary>The replay step by itself, without storage: from the same history it always comes to the same place.</summary>
public class ReplayTests
{
    private static readonly JsonDataConverter Converter = new(new(JsonSerializerDefaults.Web));

    private static readonly FunctionCatalog Functions = new(
        [typeof(SampleOrchestrators)], new ServiceCollection().BuildServiceProvider(), Converter);

    [Theory]
    [InlineData(nameof(SampleOrchestrators.FanOut), 5)]
    [InlineData(nameof(SampleOrchestrators.FirstOfTwo), null)]
    [InlineData(nameof(SampleOrchestrators.Retry), 3)]
    [InlineData(nameof(SampleOrchestrators.Catch), null)]
    [InlineData(nameof(SampleOrchestrators.LetFail), null)]
    [InlineData(nameof(SampleOrchestrators.Collect), "")]
    [InlineData(nameof(SampleOrchestrators.WaitOrGiveUp), 100)]
    [InlineData(nameof(SampleOrchestrators.Parent), null)]
    [InlineData(nameof(SampleOrchestrators.Identities), null)]
    public void Every_prefix_of_a_history_leads_to_the_same_calls(string orchestrator, object? input)
    {
        foreach (var lastFirst in new[] { false, true })
            foreach (var (history, ending) in Play(orchestrator, Converter.Serialize(input), lastFirst))
                foreach (var (start, end) in Episodes(history))
                    for (var cut = history.FindIndex(start, end - start, happened => happened is Call); cut >= start && cut <= end; cut++)
                    {
                        var result = Run(orchestrator, history[..cut]);
                        Assert.Equal(history[cut..end], result.NewCalls);
                        Assert.Null(result.Ending);
                    }
    }

    [Theory]
    [InlineData(nameof(SampleOrchestrators.Identities), null)]
    [InlineData(nameof(SampleOrchestrators.FanOut), 3)]
    public void A_whole_history_leads_to_the_same_end(string orchestrator, object? input)
    {
        var (history, ending) = Play(orchestrator, Converter.Serialize(input), lastFirst: false).Single();
        var again = Run(orchestrator, history);
        Assert.Equal(ending, again.Ending);
        Assert.IsType<Succeeded>(again.Ending);
        Assert.Empty(again.NewCalls);
    }

    [Fact]
    public void Guids_are_name_based_and_differ_within_an_instance()
    {
        var (_, ending) = Play(nameof(SampleOrchestrators.Identities), null, lastFirst: false).Single();
        var identities = Converter.Deserialize<string[]>(((Succeeded)ending).Output)!.Select(text => text.Split(' ')).ToList();
        Assert.All(identities, identity => Assert.Equal(5, Guid.Parse(identity[0]).Version));
        Assert.NotEqual(identities[0][0], identities[1][0]);
        Assert.Equal(["2030-01-01T00:00:00.0000000Z", "2030-01-01T00:01:00.0000000Z"], identities.Select(identity => identity[1]));
    }

    [Fact]
    public void Only_the_last_episode_is_not_replayed()
    {
        var seen = new List<bool>();
        Replay.Run(
            Instance.New("instance", "test", null, DateTimeOffset.UnixEpoch),
            [
                new EpisodeStarted(default), new ExecutionStarted(null), new TimerCall(0, default),
                new EpisodeStarted(default), new CallSucceeded(0, null),
            ],
            async context =>
            {
                seen.Add(context.IsReplaying);
                await context.CreateTimer(default(DateTime), CancellationToken.None);
                seen.Add(context.IsReplaying);
                return null;
            },
            Converter, NullLoggerFactory.Instance, () => { });
        Assert.Equal([true, false], seen);
    }

    [Fact]
    public void A_history_whose_call_is_missing_from_the_code_is_refused()
    {
        var (history, _) = Play(nameof(SampleOrchestrators.FanOut), "2", lastFirst: false).Single();
        history[history.FindIndex(happened => happened is Call)] = new TimerCall(0, DateTime.UnixEpoch);
        var failure = Assert.IsType<Failed>(Run(nameof(SampleOrchestrators.FanOut), history).Ending).Failure;
        Assert.Contains(
            "Call #0 is timer in the history, but the code called activity 'Twice'", failure.ErrorMessage, StringComparison.Ordinal);
    }

    [Fact]
    public void A_call_of_the_code_that_is_missing_from_the_history_is_refused()
    {
        var (history, _) = Play(nameof(SampleOrchestrators.FanOut), "2", lastFirst: false).Single();
        history.RemoveAll(happened => happened is Call { Id: 1 });
        var failure = Assert.IsType<Failed>(Run(nameof(SampleOrchestrators.FanOut), history).Ending).Failure;
        Assert.Contains("Call #1 is nothing in the history", failure.ErrorMessage, StringComparison.Ordinal);
    }

    [Fact]
    public void A_history_survives_its_way_through_storage_as_it_is()
    {
        HistoryEvent[] history =
        [
            new EpisodeStarted(DateTime.UtcNow), new ExecutionStarted("1"), new EventRaised("go", null), new ActivityCall(0, "a", "{}"),
            new TimerCall(1, DateTime.UtcNow), new SubOrchestrationCall(2, "s", "id", null), new CallSucceeded(0, "2"),
            new CallFailed(2, new("type", "message", "stack", new("inner", "m", null, null, null), null)),
        ];
        Assert.Equal(history, JsonSerializer.Deserialize<HistoryEvent[]>(JsonSerializer.Serialize(history)));
    }

    /// <summary>Plays all generations of an orchestration, one answer an episode; returns each one's history and ending.</summary>
    private static List<(List<HistoryEvent> History, Ending Ending)> Play(string orchestrator, string? input, bool lastFirst)
    {
        var generations = new List<(List<HistoryEvent>, Ending)>();
        var time = new DateTime(2030, 1, 1, 0, 0, 0, DateTimeKind.Utc);
        List<HistoryEvent> history = [];
        HistoryEvent next = new ExecutionStarted(input);
        while (true)
        {
            history.AddRange([new EpisodeStarted(time), next]);
            time = time.AddMinutes(1);
            var result = Run(orchestrator, history);
            history.AddRange(result.NewCalls);
            if (result.Ending is { } ending)
            {
                generations.Add((history, ending));
                if (ending is not ContinuedAsNew continued)
                    return generations;
                history = [];
                next = new ExecutionStarted(continued.Input);
                continue;
            }
            var open = history.OfType<Call>().Where(call => !history.OfType<Outcome>().Any(outcome => outcome.Id == call.Id)).ToList();
            next = open.Count == 0 ? new EventRaised("Letter", "\"x\"") : Answer(lastFirst ? open[^1] : open[0]);
        }
    }

    private static HistoryEvent Answer(Call call) => call switch
    {
        ActivityCall { Name: nameof(SampleActivities.Twice), Input: var number } => new CallSucceeded(call.Id, $"{2 * int.Parse(number!)}"),
        ActivityCall activity => new CallFailed(call.Id, new(typeof(TimeoutException).FullName!, activity.Name, null, null, null)),
        SubOrchestrationCall { Name: nameof(SampleOrchestrators.FanOut) } => new CallSucceeded(call.Id, "[1,2]"),
        SubOrchestrationCall => new CallSucceeded(call.Id, "\"child\""),
        _ => new CallSucceeded(call.Id, null),
    };

    private static IEnumerable<(int Start, int End)> Episodes(List<HistoryEvent> history)
    {
        var starts = history.Index().Where(entry => entry.Item is EpisodeStarted).Select(entry => entry.Index).ToList();
        return starts.Zip([.. starts.Skip(1), history.Count]);
    }

    private static ReplayResult Run(string orchestrator, List<HistoryEvent> history) => Replay.Run(
        Instance.New("instance", orchestrator, null, DateTimeOffset.UnixEpoch),
        history, Functions.OrchestratorOf(orchestrator), Converter, NullLoggerFactory.Instance, () => { });
}
