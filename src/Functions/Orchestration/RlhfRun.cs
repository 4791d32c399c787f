using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Orchestration;

/// <summary>
/// A run from request to published adapter. A generation of the orchestration does a few steps and continues as new, so the
/// history stays short however long the run; a killed host goes on from the last finished activity. Where an artefact turns out
/// lost or damaged, the run goes back by itself to its last whole checkpoint: what is made again has the same bytes.
/// </summary>
public static class RlhfRun
{
    /// <summary>A step adds some 3 kB to the history, which is read again after every activity.</summary>
    private const int StepsPerGeneration = 8;

    /// <summary>An artefact that is found broken again and again is not mended by being made again.</summary>
    private const int MaxRetreats = 3;

    /// <returns>The outcome, or null from a generation that only leads to the next.</returns>
    [Function(FunctionNames.RlhfRun)]
    public static async Task<RunOutcome?> Run([OrchestrationTrigger] TaskOrchestrationContext context, RlhfRunState state)
    {
        state = state with { StartedAt = state.StartedAt ?? context.CurrentUtcDateTime };
        try
        {
            if (state.IsRestarted) state = await StartAgain(context, state);
            if (state.Prepared is null) state = await Prepare(context, state);
            for (int step = 0; step < StepsPerGeneration && !IsLearned(state); step++) state = await Step(context, state);
            if (IsLearned(state)) return await Finish(context, state);
        }
        catch (TaskFailedException e) when (e.FailureDetails.IsCausedBy<CorruptArtifactException>() && state.Retreats < MaxRetreats)
        {
            state = await GoBack(context, state, e.FailureDetails.ErrorMessage);
        }

        context.ContinueAsNew(state);
        return null;
    }

    private static bool IsLearned(RlhfRunState state)
    {
        return state.Step == state.Steps || state.Progress?.LastStep is { Alarm: not null } or { Hack: not null };
    }

    private static async Task<RlhfRunState> Prepare(TaskOrchestrationContext context, RlhfRunState state)
    {
        var progress = (state.Progress ?? new RunProgress { Phase = RunPhase.Preparing, Step = state.Step, Steps = state.Steps }) with { Phase = RunPhase.Preparing };
        context.SetCustomStatus(progress);
        var startedAt = context.CurrentUtcDateTime;
        var sources = state.Sources;
        var baseInput = new PrepareModelInput(sources.Base, sources.BasePrecision);
        PrepareModelInput[] inputs = [.. sources.Rewards.Append(sources.Judge).OfType<string>().Select(source => new PrepareModelInput(source)).Prepend(baseInput).Distinct()];
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
        var prepared = new PreparedRun(baseModel, [.. sources.Rewards.Select(PathOf)], sources.Judge is { } judge ? PathOf(judge) : null, dataset);
        if (state.LearnsFromPreferences)
        {
            prepared = prepared with
            {
                Preferences = await Task.WhenAll(Enumerable.Range(0, state.Shards).Select(shard => context.CallActivityAsync<RolloutShardResult>(
                    FunctionNames.ScorePreferences, new ScorePreferencesInput(state.RunId, baseModel, dataset, shard), ActivityRetries.Default))),
            };
        }

        double seconds = (context.CurrentUtcDateTime - startedAt).TotalSeconds;

        context.SetCustomStatus(progress with { Phase = RunPhase.Measuring });
        var before = await context.CallActivityAsync<EvaluateResult>(
            FunctionNames.Evaluate, new EvaluateInput(state.RunId, prepared, Step: 0), ActivityRetries.Default);

        var usage = state.Usage with
        {
            PrepareSeconds = state.Usage.PrepareSeconds + seconds,
            EvaluateSeconds = state.Usage.EvaluateSeconds + before.ActivitySeconds,
        };
        return state with
        {
            Prepared = prepared,
            Usage = usage,
            Progress = progress with
            {
                Phase = RunPhase.Learning,
                LabelBefore = before.LabelProbability,
                NothingToUnlearn = before.NothingToUnlearn,
                Cost = CostEstimate.Of(usage, state.Price),
            },
            Timings = state.Timings with
            {
                Prepare = state.Timings.Prepare + seconds,
                Evaluate = state.Timings.Evaluate + before.ActivitySeconds,
            },
        };
    }

    private static async Task<RlhfRunState> Step(TaskOrchestrationContext context, RlhfRunState state)
    {
        context.SetCustomStatus(state.Progress);
        var shards = state.Prepared!.Preferences ?? await Task.WhenAll(Enumerable.Range(0, state.Shards).Select(shard => context.CallActivityAsync<RolloutShardResult>(
            FunctionNames.RolloutShard, new RolloutShardInput(state.RunId, state.Prepared, state.Step, shard), ActivityRetries.Default)));

        var report = await context.CallActivityAsync<StepReport>(
            FunctionNames.PpoUpdate, new PpoUpdateInput(state.RunId, state.Prepared, state.Step, shards), ActivityRetries.Default);

        int step = state.Step + 1;
        var timings = state.Timings with
        {
            Rollout = state.Timings.Rollout + (state.Prepared.Preferences is null ? shards.Max(shard => shard.ActivitySeconds) : 0),
            Update = state.Timings.Update + report.ActivitySeconds,
        };
        var usage = state.Usage with
        {
            RolloutSeconds = state.Usage.RolloutSeconds + shards.Sum(shard => shard.ActivitySeconds),
            UpdateSeconds = state.Usage.UpdateSeconds + report.ActivitySeconds,
            ResponseTokens = state.Usage.ResponseTokens + shards.Sum(shard => shard.ResponseTokens),
        };
        var cost = CostEstimate.Of(usage, state.Price);
        if (step < state.Steps && report.Hack is null) // what has reached its last step is whole, whatever it took
            report = report with { Alarm = report.Alarm ?? state.Limits.Reached((context.CurrentUtcDateTime - state.StartedAt!.Value).TotalHours, cost) };
        return state with
        {
            Step = step,
            Retreats = 0,
            Timings = timings,
            Usage = usage,
            Progress = state.Progress! with
            {
                Step = step,
                LastStep = report,
                Cost = cost,
                CostAtEnd = CostEstimate.AtEnd(usage, step, state.Steps, state.Price),
                SecondsLeft = (timings.Rollout + timings.Update) / step * (state.Steps - step),
            },
        };
    }

    private static async Task<RunOutcome> Finish(TaskOrchestrationContext context, RlhfRunState state)
    {
        var progress = state.Progress! with { Phase = RunPhase.Measuring };
        context.SetCustomStatus(progress);
        int? chosen = Chosen(state);
        var after = await context.CallActivityAsync<EvaluateResult>(
            FunctionNames.Evaluate, new EvaluateInput(state.RunId, state.Prepared!, chosen ?? state.Step), ActivityRetries.Default);
        var timings = state.Timings with { Evaluate = state.Timings.Evaluate + after.ActivitySeconds };
        var usage = state.Usage with { EvaluateSeconds = state.Usage.EvaluateSeconds + after.ActivitySeconds };
        double total = (context.CurrentUtcDateTime - state.StartedAt!.Value).TotalSeconds;

        context.SetCustomStatus(progress with { Phase = RunPhase.Publishing });
        var outcome = await context.CallActivityAsync<RunOutcome>(
            FunctionNames.PublishAdapter,
            new PublishAdapterInput(state.RunId, state.Prepared!, state.Step, timings, total, progress.LastStep?.Alarm)
            {
                Hack = progress.LastStep?.Hack,
                Chosen = chosen,
                Usage = usage,
                Price = state.Price,
            },
            ActivityRetries.Default);
        context.SetCustomStatus(progress with { Phase = RunPhase.Finished, Cost = outcome.Cost, CostAtEnd = outcome.Cost });
        return outcome;
    }

    /// <summary>The checkpoint to publish of a run whose reward was being exploited, the best before that; null: the last one.</summary>
    private static int? Chosen(RlhfRunState state)
    {
        return state.Progress?.LastStep is { Hack: not null, Best: var best } ? best ?? 0 : null;
    }

    /// <summary>Where a run ended without a result it goes on from its last whole checkpoint: nothing that was done is lost.</summary>
    private static async Task<RlhfRunState> StartAgain(TaskOrchestrationContext context, RlhfRunState state)
    {
        int step = await context.CallActivityAsync<int>(FunctionNames.RepairRun, new RepairRunInput(state.RunId, state.Step) { Needed = Chosen(state) }, ActivityRetries.Default);
        return AtCheckpoint(state, step) with { IsRestarted = false };
    }

    /// <summary>Discards what is broken and takes the run back to its last whole checkpoint, where it is prepared again: what is whole is only looked up.</summary>
    private static async Task<RlhfRunState> GoBack(TaskOrchestrationContext context, RlhfRunState state, string reason)
    {
        int step = await context.CallActivityAsync<int>(FunctionNames.RepairRun, new RepairRunInput(state.RunId, state.Step, reason) { Needed = Chosen(state) }, ActivityRetries.Default);
        var back = AtCheckpoint(state, step) with { Retreats = state.Retreats + 1 };
        return back.Progress is { } progress ? back with { Progress = progress with { Retreat = $"Went back to step {step}. {reason}" } } : back;
    }

    private static RlhfRunState AtCheckpoint(RlhfRunState state, int step)
    {
        return state with
        {
            Step = step,
            Prepared = null,
            Progress = state.Progress is { } progress ? progress with
            {
                Step = step,
                LastStep = step == state.Step ? progress.LastStep : null, // where no step is lost, its alarm is not either
            } : null,
        };
    }
}
