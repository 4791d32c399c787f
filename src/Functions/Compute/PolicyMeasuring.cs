using System.Diagnostics;
using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Evaluation;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Reports;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Compute;

/// <summary>What the evaluation of a run and the nightly one have in common.</summary>
public sealed class PolicyMeasuring(Datasets datasets, Checkpoints checkpoints, PolicyPool policies, Classifiers classifiers, ComputeGate gate)
{
    /// <summary>The one file of a measurement: every <see cref="EvaluatedSample"/>.</summary>
    public const string FileName = "samples.json";

    /// <summary>Why an adapter must not serve, or null: where there is a judge its label has to go the right way, and ROUGE-L to keep the share the request asks for.</summary>
    public static string? FaultOf((double? Label, double RougeL) before, (double? Label, double RougeL) after, EvaluationSettings gate)
    {
        if (before.Label is { } p && after.Label is { } q && gate.Direction.Undesired(q) >= gate.Direction.Undesired(p))
            return FormattableString.Invariant($"Its {gate.Label} probability is {q:F3}, not {(gate.Direction == LabelDirection.Lower ? "below" : "above")} the base model's {p:F3}.");
        double least = gate.MinRougeShare * before.RougeL;
        return after.RougeL >= least ? null : FormattableString.Invariant(
            $"Its ROUGE-L is {after.RougeL:F3}, below {least:F3}, the least that evaluation.minRougeShare = {gate.MinRougeShare} allows.");
    }

    /// <summary>Samples and judges responses to a run's held-out dialogues.</summary>
    /// <param name="path">Where the measurement will lie.</param>
    /// <param name="runId">The run whose policy is measured.</param>
    /// <param name="prepared">Its prepared inputs.</param>
    /// <param name="request">Its request.</param>
    /// <param name="step">The checkpoint; 0 is the reference.</param>
    /// <param name="cancellation">Stops between tokens.</param>
    public async Task<NewArtifact<EvaluateResult>> MeasureAsync(
        string path, string runId, PreparedRun prepared, RunRequest request, int step, CancellationToken cancellation)
    {
        var activity = Stopwatch.StartNew();
        using var turn = await gate.EnterAsync(request.Compute, request.Compute.UpdateThreads, cancellation);
        var dataset = await datasets.GetAsync(prepared.Dataset, cancellation);
        var checkpoint = await checkpoints.ReadAsync(runId, step, cancellation);
        using var judge = await classifiers.FindJudgeAsync(prepared, request, cancellation);
        var plan = new EvaluationPlan
        {
            Seed = (ulong)request.Seed,
            SamplesPerDialogue = request.Evaluation.SamplesPerDialogue,
            BatchSize = request.Evaluation.BatchSize,
            Generation = request.Generation,
        };

        return await policies.UseAsync(
            prepared.Base,
            request,
            request.Compute.UpdateThreads,
            loaded =>
            {
                TrainingState.RestoreParameters(loaded.Policy, checkpoint);
                var samples = EvaluationRunner.Run(
                    loaded.Policy,
                    ids => loaded.Text.Decode(ids),
                    judge?.Reward,
                    [.. dataset.Test.Select(dialogue => dialogue.PromptIds)],
                    [.. dataset.Test.Select(dialogue => dialogue.Summary)],
                    plan with { Generation = loaded.WithEndOfText(plan.Generation) },
                    cancellation);
                double? label = samples.Average(sample => (double?)sample.LabelProbability);
                var result = new EvaluateResult(
                    path, label, samples.Average(sample => sample.RougeL), activity.Elapsed.TotalSeconds, step == 0 ? BaseRate.NothingToUnlearn(label, request.Evaluation) : null);
                var files = new Dictionary<string, byte[]> { [FileName] = JsonSerializer.SerializeToUtf8Bytes(samples, ContractsJson.Options) };
                return new NewArtifact<EvaluateResult>(files, result);
            },
            cancellation);
    }
}
