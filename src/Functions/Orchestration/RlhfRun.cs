using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Orchestration;

/// <summary>
/// A run from request to published adapter. Every PPO step is a generation of its own (ContinueAsNew), so the history stays
/// short however long the run; a killed host goes on from the last finished activity.
/// </summary>
public static class RlhfRun
{
    /// <returns>The outcome, or null from a generation that only leads to the next.</returns>
    [Function(FunctionNames.RlhfRun)]
    public static async Task<RunOutcome?> Run([OrchestrationTrigger] TaskOrchestrationContext context, RlhfRunState state)
    {
        state = state with { StartedAt = state.StartedAt ?? context.CurrentUtcDateTime };
        if (state.Step == state.Steps || state.Progress?.LastStep?.Alarm is not null) return await Finish(context, state);

        context.ContinueAsNew(state.Prepared is null ? await Prepare(context, state) : await Step(context, state));
        return null;
    }

    private static async Task<RlhfRunState> Prepare(TaskOrchestrationContext context, RlhfRunState state)
    {
        var progress = new RunProgress { Phase = RunPhase.Preparing, Step = 0, Steps = state.Steps };
        context.SetCustomStatus(progress);
        var sources = state.Sources;
        var baseInput = new PrepareModelInput(sources.Base, sources.BasePrecision);
        PrepareModelInput[] inputs = [.. sources.Rewards.Append(sources.Judge).Select(source => new PrepareModelInput(source)).Prepend(baseInput).Distinct()];
        string[] paths = await Task.WhenAll(inputs.Select(
            input => context.CallActivityAsync<string>(FunctionNames.PrepareModel, input, ActivityRetries.Default)));
        var models = inputs.Zip(paths).ToDictionary(model => model.First, model => model.Second);
        string PathOf(string source) => models[new PrepareModelInput(source)];
        string baseModel = models[baseInput];
        var adapter = context.CallActivityAsync<string>(
            FunctionNames.PrepareAdapter, new PrepareAdapterInput(state.RunId, baseModel), ActivityRetries.Default);
        string dataset = await context.CallActivityAsync<string>(
            FunctionNames.PrepareDataset, new PrepareDatasetInput(state.RunId, baseModel), ActivityRetries.Default);
        await adapter;
        var prepared = new PreparedRun(baseModel, [.. sources.Rewards.Select(PathOf)], PathOf(sources.Judge), dataset);
        var preparedAt = context.CurrentUtcDateTime;

        context.SetCustomStatus(progress with { Phase = RunPhase.Measuring });
        var before = await context.CallActivityAsync<EvaluateResult>(
            FunctionNames.Evaluate, new EvaluateInput(state.RunId, prepared, Step: 0), ActivityRetries.Default);

        return state with
        {
            Prepared = prepared,
            Progress = progress with { Phase = RunPhase.Learning, HateBefore = before.HateProbability, NothingToUnlearn = before.NothingToUnlearn },
            Timings = state.Timings with
            {
                Prepare = Seconds(state.StartedAt!.Value, preparedAt),
                Evaluate = Seconds(preparedAt, context.CurrentUtcDateTime),
            },
        };
    }

    private static async Task<RlhfRunState> Step(TaskOrchestrationContext context, RlhfRunState state)
    {
        context.SetCustomStatus(state.Progress);
        var startedAt = context.CurrentUtcDateTime;
        var shards = await Task.WhenAll(Enumerable.Range(0, state.Shards).Select(shard => context.CallActivityAsync<RolloutShardResult>(
            FunctionNames.RolloutShard, new RolloutShardInput(state.RunId, state.Prepared!, state.Step, shard), ActivityRetries.Default)));
        var rolledOutAt = context.CurrentUtcDateTime;

        var report = await context.CallActivityAsync<StepReport>(
            FunctionNames.PpoUpdate, new PpoUpdateInput(state.RunId, state.Prepared!, state.Step, shards), ActivityRetries.Default);

        int step = state.Step + 1;
        var timings = state.Timings with
        {
            Rollout = state.Timings.Rollout + Seconds(startedAt, rolledOutAt),
            Update = state.Timings.Update + Seconds(rolledOutAt, context.CurrentUtcDateTime),
        };
        return state with
        {
            Step = step,
            Timings = timings,
            Progress = state.Progress! with
            {
                Step = step,
                LastStep = report,
                SecondsLeft = (timings.Rollout + timings.Update) / step * (state.Steps - step),
            },
        };
    }

    private static async Task<RunOutcome> Finish(TaskOrchestrationContext context, RlhfRunState state)
    {
        var progress = state.Progress! with { Phase = RunPhase.Measuring };
        context.SetCustomStatus(progress);
        var startedAt = context.CurrentUtcDateTime;
        await context.CallActivityAsync<EvaluateResult>(
            FunctionNames.Evaluate, new EvaluateInput(state.RunId, state.Prepared!, state.Step), ActivityRetries.Default);
        var evaluatedAt = context.CurrentUtcDateTime;
        var timings = state.Timings with { Evaluate = state.Timings.Evaluate + Seconds(startedAt, evaluatedAt) };

        context.SetCustomStatus(progress with { Phase = RunPhase.Publishing });
        var outcome = await context.CallActivityAsync<RunOutcome>(
            FunctionNames.PublishAdapter,
            new PublishAdapterInput(
                state.RunId, state.Prepared!, state.Step, timings, Seconds(state.StartedAt!.Value, evaluatedAt), progress.LastStep!.Alarm),
            ActivityRetries.Default);
        context.SetCustomStatus(progress with { Phase = RunPhase.Finished });
        return outcome;
    }

    private static double Seconds(DateTime from, DateTime to)
    {
        return (to - from).TotalSeconds;
    }
}
