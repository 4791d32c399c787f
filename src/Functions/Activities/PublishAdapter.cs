using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Learning;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Reports;
using RlhfFunctions.Runs;
using RlhfFunctions.Serving;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>
/// Publishes a run's last checkpoint, or the best one where its reward was being exploited: a PEFT folder, metrics, evaluation and report
/// under plain names, the manifest last. If the judged label went the right way and the summaries held, adapters/latest moves here, unless
/// people are to decide.
/// </summary>
public sealed class PublishAdapter(
    RunRequests requests, Datasets datasets, Checkpoints checkpoints, StepMetrics stepMetrics, RunRetention retention, PublishedAdapters adapters,
    ArtifactStore artifacts, BlobFiles blobs)
{
    [Function(FunctionNames.PublishAdapter)]
    public async Task<RunOutcome> Run([ActivityTrigger] PublishAdapterInput input, CancellationToken cancellation)
    {
        var request = await requests.GetAsync(input.RunId, cancellation);
        var outcome = await artifacts.PublishOnceAsync(BlobPaths.Run(input.RunId), stop => PublishAsync(input, request, stop), cancellation);
        if (outcome.Published) await adapters.PublishAsync(outcome, cancellation);
        await retention.DiscardAsync(request, outcome.Steps, outcome.Checkpoint, cancellation);
        return outcome;
    }

    private async Task<NewArtifact<RunOutcome>> PublishAsync(PublishAdapterInput input, RunRequest request, CancellationToken cancellation)
    {
        var checkpoint = await checkpoints.ReadAsync(input.RunId, input.Chosen ?? input.Steps, cancellation);
        var metrics = await stepMetrics.ReadAsync(input.RunId, ..input.Steps, cancellation);
        var createdAt = await requests.FindCreationTimeAsync(input.RunId, cancellation) ?? throw new CorruptArtifactException(BlobPaths.Request(input.RunId), "is missing");
        double[] kl = [.. metrics.Select(step => step[MetricNames.Kl]).OfType<JsonNode>().Select(value => value.GetValue<double>())];
        var measured = await EvaluationReports.ReadAsync(input, datasets, artifacts, cancellation);
        var report = EvaluationReports.Create(measured, input, request, kl);
        var outcome = new RunOutcome(
            input.RunId,
            report.Before.LabelProbability?.Mean,
            report.After.LabelProbability?.Mean,
            input is { Alarm: null, Limit: null } && request.Evaluation.MinHumanWinRate is null && PolicyMeasuring.FaultOf(
                (report.Before.LabelProbability?.Mean, report.Before.RougeL.Mean), (report.After.LabelProbability?.Mean, report.After.RougeL.Mean), request.Evaluation) is null,
            input.Prepared,
            input.Steps)
        {
            Alarm = input.Alarm,
            Limit = input.Limit,
            Hack = input.Hack,
            Chosen = input.Chosen,
            PublishedAt = await blobs.ReadClockAsync(cancellation),
            Cost = report.Cost,
        };
        var files = new Dictionary<string, byte[]>
        {
            [RunFiles.AdapterConfig] = PeftAdapterFolder.WriteConfig(request.Lora, Source.Parse(request.Model.Source).Name),
            [RunFiles.AdapterWeights] = checkpoint[TrainingState.AdapterFile],
            [RunFiles.Metrics] = Encoding.UTF8.GetBytes(string.Concat(metrics.Select(step => step.ToJsonString() + "\n"))),
            [RunFiles.Events] = EventFile.Write(metrics, createdAt, request.Training.BatchSize),
            [RunFiles.Evaluation] = JsonSerializer.SerializeToUtf8Bytes(report, ContractsJson.Indented),
            [RunFiles.Samples] = JsonLines(EvaluationReports.Pairs(measured, request.Evaluation)),
            [RunFiles.Report] = ReportPage.Render(report, metrics, request, outcome.Published),
        };
        return new NewArtifact<RunOutcome>(files, outcome);
    }

    private static byte[] JsonLines<T>(IEnumerable<T> rows)
    {
        return Encoding.UTF8.GetBytes(string.Concat(rows.Select(row => JsonSerializer.Serialize(row, ContractsJson.Options) + "\n")));
    }
}
