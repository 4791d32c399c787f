using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask;

namespace RlhfFunctions.Functions.Tests.LocalHost;

/// <summary>Activities that the sample orchestrators below call.</summary>
public sealed class SampleActivities(Probe probe)
{
    [Function(nameof(Twice))]
    public async Task<int> Twice([ActivityTrigger] int number)
    {
        probe.Calls.Enqueue($"Twice {number}");
        await Task.Delay(10 * (number % 3)); // so that they finish out of order
        return 2 * number;
    }

    [Function(nameof(FailTwice))]
    public string FailTwice([ActivityTrigger] string name, FunctionContext context)
    {
        probe.Calls.Enqueue(name);
        return probe.Count(name) > 2 ? context.FunctionDefinition.Name : throw new TimeoutException($"attempt {probe.Count(name)}");
    }

    [Function(nameof(Fail))]
    public void Fail([ActivityTrigger] string message) => throw new InvalidDataException(message, new IOException("cause"));

    /// <summary>Runs until the test opens the gate, or the host stops.</summary>
    [Function(nameof(Block))]
    public async Task<string> Block([ActivityTrigger] string gate, CancellationToken cancellation)
    {
        probe.Calls.Enqueue(gate);
        probe.Open($"{gate} entered");
        await probe.Gate(gate).WaitAsync(cancellation);
        return gate;
    }
}

public static class SampleOrchestrators
{
    [Function(nameof(FanOut))]
    public static async Task<int[]> FanOut([OrchestrationTrigger] TaskOrchestrationContext context, int count) =>
        await Task.WhenAll(Enumerable.Range(1, count).Select(number =>
            context.CallActivityAsync<int>(nameof(SampleActivities.Twice), number)));

    [Function(nameof(FirstOfTwo))]
    public static async Task<int> FirstOfTwo([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        var first = context.CallActivityAsync<int>(nameof(SampleActivities.Twice), 1);
        var second = context.CallActivityAsync<int>(nameof(SampleActivities.Twice), 2);
        var winner = await Task.WhenAny(first, second);
        return await context.CallActivityAsync<int>(nameof(SampleActivities.Twice), winner == first ? 10 : 20);
    }

    [Function(nameof(Retry))]
    public static async Task<string> Retry([OrchestrationTrigger] TaskOrchestrationContext context, int attempts) =>
        await context.CallActivityAsync<string>(nameof(SampleActivities.FailTwice), context.InstanceId, new TaskOptions(
            new RetryPolicy(attempts, TimeSpan.FromMilliseconds(100), backoffCoefficient: 2)));

    [Function(nameof(RetryOnlyOtherFailures))]
    public static async Task RetryOnlyOtherFailures([OrchestrationTrigger] TaskOrchestrationContext context) =>
        await context.CallActivityAsync(nameof(SampleActivities.FailTwice), context.InstanceId, TaskOptions.FromRetryPolicy(
            new(5, TimeSpan.FromMilliseconds(10)) { HandleFailure = failure => !failure.IsCausedBy<TimeoutException>() }));

    [Function(nameof(Catch))]
    public static async Task<TaskFailureDetails> Catch([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        try
        {
            await context.CallActivityAsync(nameof(SampleActivities.Fail), "boom");
            throw new InvalidOperationException("Fail did not fail.");
        }
        catch (TaskFailedException failed) when (failed is { TaskName: nameof(SampleActivities.Fail), TaskId: 0 })
        {
            return failed.FailureDetails;
        }
    }

    [Function(nameof(LetFail))]
    public static Task LetFail([OrchestrationTrigger] TaskOrchestrationContext context) =>
        context.CallActivityAsync(nameof(SampleActivities.Fail), "boom");

    /// <summary>Collects one event per generation; events that come in between must not be lost.</summary>
    [Function(nameof(Collect))]
    public static async Task<string> Collect([OrchestrationTrigger] TaskOrchestrationContext context, string soFar)
    {
        soFar += await context.WaitForExternalEvent<string>("letter");
        context.SetCustomStatus(soFar);
        if (soFar.Length < 4)
            context.ContinueAsNew(soFar);
        return soFar;
    }

    [Function(nameof(WaitOrGiveUp))]
    public static async Task<string> WaitOrGiveUp([OrchestrationTrigger] TaskOrchestrationContext context, int milliseconds)
    {
        try
        {
            return await context.WaitForExternalEvent<string>("answer", TimeSpan.FromMilliseconds(milliseconds));
        }
        catch (TaskCanceledException)
        {
            return "gave up";
        }
    }

    [Function(nameof(WaitForGate))]
    public static Task<string> WaitForGate([OrchestrationTrigger] TaskOrchestrationContext context, string gate) =>
        context.CallActivityAsync<string>(nameof(SampleActivities.Block), gate);

    [Function(nameof(Parent))]
    public static async Task<string> Parent([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        var children = Enumerable.Range(1, 2).Select(count => context.CallSubOrchestratorAsync<int[]>(nameof(FanOut), count));
        var doubled = await Task.WhenAll(children);
        var named = await context.CallSubOrchestratorAsync<string>(
            nameof(Child), "x", new SubOrchestrationOptions(instanceId: $"{context.InstanceId}-child"));
        return $"{doubled.Sum(numbers => numbers.Sum())} {named}";
    }

    [Function(nameof(ParentOfOne))]
    public static Task<string> ParentOfOne([OrchestrationTrigger] TaskOrchestrationContext context, string child) =>
        context.CallSubOrchestratorAsync<string>(child, "gate", new SubOrchestrationOptions(instanceId: "only child"));

    [Function(nameof(Child))]
    public static string Child([OrchestrationTrigger] TaskOrchestrationContext context) =>
        $"{context.InstanceId} of {context.Parent!.Name.Name} got {context.GetInput<string>()}";

    /// <summary>Identities and times, noted before and after a wait: a replay must see the same again.</summary>
    [Function(nameof(Identities))]
    public static async Task<string[]> Identities([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        var early = $"{context.NewGuid()} {context.CurrentUtcDateTime:o}";
        await context.CreateTimer(TimeSpan.FromMilliseconds(50), CancellationToken.None);
        return [early, $"{context.NewGuid()} {context.CurrentUtcDateTime:o}"];
    }
}

/// <summary>What orchestrators must not do.</summary>
public static class WrongOrchestrators
{
    private static int _runs;

    [Function(nameof(AwaitsDelay))]
    public static async Task AwaitsDelay([OrchestrationTrigger] TaskOrchestrationContext context) => await Task.Delay(50);

    [Function(nameof(RacesDelay))]
    public static async Task RacesDelay([OrchestrationTrigger] TaskOrchestrationContext context) =>
        await Task.WhenAny(context.WaitForExternalEvent<string>("never"), Task.Delay(50));

    [Function(nameof(LeavesItsThread))]
    public static async Task LeavesItsThread([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        await context.CallActivityAsync<int>(nameof(SampleActivities.Twice), 1).ConfigureAwait(false);
        await context.CallActivityAsync<int>(nameof(SampleActivities.Twice), 2);
    }

    [Function(nameof(ChangesItsMind))]
    public static async Task ChangesItsMind([OrchestrationTrigger] TaskOrchestrationContext context)
    {
        if (Interlocked.Increment(ref _runs) == 1)
            await context.CallActivityAsync<int>(nameof(SampleActivities.Twice), 1);
        else
            await context.CreateTimer(TimeSpan.FromSeconds(1), CancellationToken.None);
    }
}
