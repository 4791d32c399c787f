using Microsoft.Azure.Functions.Worker;
using Microsoft.DurableTask;
using RlhfFunctions.Contracts;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Orchestration;

/// <summary>
/// A run from request to published adapter. A generation of the orchestration does a few steps, or a part of one that many activities
/// share, and continues as new, so the history stays short however long the run; a killed host goes on from the last finished
/// activity. Where an artefact turns out lost or damaged, the run goes back by itself to its last whole checkpoint: what is made again
/// has the same bytes.
/// </summary>
public static class RlhfRun
{
    /// <summary>An activity adds some 1 kB to the history, which is read again after each. So many are eight steps of two rollout shards and an update.</summary>
    private const int ActivitiesPerGeneration = 24;

    /// <summary>An artefact that is found broken again and again is not mended by being made again.</summary>
    private const int MaxRetreats = 3;

    /// <returns>The outcome, or null from a generation that only leads to the next.</returns>
    [Function(FunctionNames.RlhfRun)]
    public static async Task<RunOutcome?> Run([OrchestrationTrigger] TaskOrchestrationContext context, RlhfRunState state)
    {
        try
        {
            var outcome = await Generation(context, state);
            if (outcome is not null) await Tell(context, state, RunEnd.Finished, outcome.WhyStopped);
            return outcome;
        }
        catch (TaskFailedException e)
        {
            await Tell(context, state, RunEnd.Failed, $"{e.TaskName}: {e.FailureDetails.ErrorMessage}");
            throw;
        }
    }

    private static async Task<RunOutcome?> Generation(TaskOrchestrationContext context, RlhfRunState state)
    {
        state = state with { StartedAt = state.StartedAt ?? context.CurrentUtcDateTime };
        try
        {
            if (state.IsRestarted) state = await StartAgain(context, state);
            if (state.Prepared is null) state = await Prepare(context, state);
            for (int called = 0; called < ActivitiesPerGeneration && !IsLearned(state);)
            {
                (state, int activities) = await Advance(context, state);
                called += activities;
            }

            if (IsLearned(state)) return await Finish(context, state);
        }
        catch (TaskFailedException e) when (e.FailureDetails.Is<CorruptArtifactException>() && state.Retreats < MaxRetreats)
        {
            state = await GoBack(context, state, e.FailureDetails.ErrorMessage);
        }

        context.ContinueAsNew(state);
        return null;
    }

    private static bool IsLearned(RlhfRunState state)
    {
        return state.Step == state.Steps || state.Progress?.LastStep?.WhyStopped is not null;
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

        double measuring = state.Usage.EvaluateSeconds == 0 ? before.ActivitySeconds : 0; // what was measured before is only found
        var usage = state.Usage with
        {
            PrepareSeconds = state.Usage.PrepareSeconds + seconds,
            EvaluateSeconds = state.Usage.EvaluateSeconds + measuring,
        };
        var timings = state.Timings with { Prepare = state.Timings.Prepare + seconds, Evaluate = state.Timings.Evaluate + measuring };
        return state with
        {
            Prepared = prepared,
            Usage = usage,
            Timings = timings,
            Progress = progress with
            {
                Phase = RunPhase.Learning,
                LabelBefore = before.LabelProbability,
                NothingToUnlearn = before.NothingToUnlearn,
                Cost = CostEstimate.Of(usage, state.Price),
                Usage = usage,
                Timings = timings,
            },
        };
    }

    /// <summary>The next stage of a step: its samples; one step of the optimizer, where shards compute the gradients; the update.</summary>
    /// <returns>With how many activities it took.</returns>
    private static async Task<(RlhfRunState State, int Activities)> Advance(TaskOrchestrationContext context, RlhfRunState state)
    {
        return state switch
        {
            { UnderWay: null } => (await RollOut(context, state), state.LearnsFromPreferences ? 0 : state.Shards),
            { UpdateShards: > 1, UnderWay.IsOptimized: false } => (await Descend(context, state, state.UnderWay), state.UpdateShards + 1),
            _ => (await Update(context, state, state.UnderWay), 1),
        };
    }

    private static async Task<RlhfRunState> RollOut(TaskOrchestrationContext context, RlhfRunState state)
    {
        context.SetCustomStatus(state.Progress);
        return state with
        {
            UnderWay = new StepUnderWay(state.Prepared!.Preferences ?? await Task.WhenAll(Enumerable.Range(0, state.Shards).Select(shard => context.CallActivityAsync<RolloutShardResult>(
                FunctionNames.RolloutShard, new RolloutShardInput(state.RunId, state.Prepared, state.Step, shard), ActivityRetries.Default)))),
        };
    }

    private static async Task<RlhfRunState> Descend(TaskOrchestrationContext context, RlhfRunState state, StepUnderWay underWay)
    {
        string baseModel = state.Prepared!.Base;
        var gradients = await Task.WhenAll(Enumerable.Range(0, state.UpdateShards).Select(shard => context.CallActivityAsync<GradientShardResult>(
            FunctionNames.GradientShard, new GradientShardInput(state.RunId, baseModel, state.Step, underWay.OptimizerSteps, shard), ActivityRetries.Default)));
        double slowest = gradients.Max(gradient => gradient.ActivitySeconds);
        var made = await context.CallActivityAsync<OptimizerStepResult>(
            FunctionNames.OptimizerStep, new OptimizerStepInput(state.RunId, baseModel, state.Step, underWay.OptimizerSteps, slowest), ActivityRetries.Default);
        return state with
        {
            UnderWay = underWay with
            {
                OptimizerSteps = underWay.OptimizerSteps + 1,
                IsOptimized = made.IsLast,
                Seconds = underWay.Seconds + slowest + made.ActivitySeconds,
                UsedSeconds = underWay.UsedSeconds + gradients.Sum(gradient => gradient.ActivitySeconds) + made.ActivitySeconds,
            },
        };
    }

    private static async Task<RlhfRunState> Update(TaskOrchestrationContext context, RlhfRunState state, StepUnderWay underWay)
    {
        var shards = underWay.Shards;
        var report = await context.CallActivityAsync<StepReport>(
            FunctionNames.PpoUpdate,
            new PpoUpdateInput(state.RunId, state.Prepared!, state.Step, shards) { OptimizerSteps = underWay.OptimizerSteps },
            ActivityRetries.Default);

        int step = state.Step + 1;
        var rollouts = state.LearnsFromPreferences ? [] : shards; // preferences were scored once, before the first step
        var timings = state.Timings with
        {
            Rollout = state.Timings.Rollout + rollouts.Select(shard => shard.ActivitySeconds).DefaultIfEmpty().Max(),
            Update = state.Timings.Update + underWay.Seconds + report.ActivitySeconds,
        };
        var usage = state.Usage with
        {
            RolloutSeconds = state.Usage.RolloutSeconds + rollouts.Sum(shard => shard.ActivitySeconds),
            UpdateSeconds = state.Usage.UpdateSeconds + underWay.UsedSeconds + report.ActivitySeconds,
            ResponseTokens = state.Usage.ResponseTokens + rollouts.Sum(shard => shard.ResponseTokens),
        };
        var cost = CostEstimate.Of(usage, state.Price);
        if (step < state.Steps && report.Hack is null) // what has reached its last step is whole, whatever it took
            report = report with { Limit = state.Limits.Reached((context.CurrentUtcDateTime - state.StartedAt!.Value).TotalHours, cost) };
        return state with
        {
            Step = step,
            UnderWay = null,
            Retreats = 0,
            Timings = timings,
            Usage = usage,
            Progress = state.Progress! with
            {
                Step = step,
                LastStep = report,
                Cost = cost,
                Usage = usage,
                Timings = timings,
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
                Limit = progress.LastStep?.Limit,
                Hack = progress.LastStep?.Hack,
                Chosen = chosen,
                Usage = usage,
                Price = state.Price,
            },
            ActivityRetries.Default);
        context.SetCustomStatus(progress with { Phase = RunPhase.Finished, Cost = outcome.Cost, CostAtEnd = outcome.Cost });
        return outcome;
    }

    /// <summary>Has whoever the request names told, by an orchestration of its own: an orchestration does not end before what it has called itself.</summary>
    private static async Task Tell(TaskOrchestrationContext context, RlhfRunState state, RunEnd end, string? reason)
    {
        if (!state.Notifies) return;
        try
        {
            var notice = new RunNotice($"{context.NewGuid():n}", state.RunId, end, context.CurrentUtcDateTime, reason);
            await context.CallActivityAsync(FunctionNames.BeginNotice, notice, ActivityRetries.Default);
        }
        catch (TaskFailedException)
        {
            // The run has ended as it has, told or not.
        }
    }

    /// <summary>The checkpoint to publish of a run whose reward was being exploited, the best before that; null: the last one.</summary>
    private static int? Chosen(RlhfRunState state)
    {
        return state.Progress?.LastStep is { Hack: not null, Best: var best } ? best ?? 0 : null;
    }

    /// <summary>Where a run ended without a result it goes on from its last whole checkpoint: nothing that was done is lost.</summary>
    private static async Task<RlhfRunState> StartAgain(TaskOrchestrationContext context, RlhfRunState state)
    {
        context.SetCustomStatus(state.Progress);
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
            UnderWay = null,
            Prepared = null,
            Progress = state.Progress is { } progress ? progress with
            {
                Step = step,
                LastStep = step == state.Step ? progress.LastStep : null, // where no step is lost, neither is why it stops
            } : null,
        };
    }
}
