using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Azure;
using Azure.Storage.Blobs.Models;
using Microsoft.Azure.Functions.Worker;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Ppo;
using RlhfFunctions.Reports;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>
/// Publishes a run's last checkpoint: a PEFT folder, metrics, evaluation and report under plain names, the manifest last. If hate
/// fell and the summaries held, adapters/latest moves here.
/// </summary>
public sealed class PublishAdapter(
    RunRequests requests, Datasets datasets, Checkpoints checkpoints, StepMetrics stepMetrics, ArtifactStore artifacts, BlobFiles blobs, TimeProvider time)
{
    [Function(FunctionNames.PublishAdapter)]
    public async Task<RunOutcome> Run([ActivityTrigger] PublishAdapterInput input, CancellationToken cancellation)
    {
        var request = await requests.GetAsync(input.RunId, cancellation);
        var outcome = await artifacts.PublishOnceAsync(BlobPaths.Run(input.RunId), stop => PublishAsync(input, request, stop), cancellation);
        if (outcome.Published) await MoveLatestAsync(new LatestAdapter(input.RunId, input.Prepared, input.Steps, time.GetUtcNow()), cancellation);
        return outcome;
    }

    private async Task<NewArtifact<RunOutcome>> PublishAsync(PublishAdapterInput input, RunRequest request, CancellationToken cancellation)
    {
        var checkpoint = await checkpoints.ReadAsync(input.RunId, input.Steps, cancellation);
        var metrics = await stepMetrics.ReadAsync(input.RunId, input.Steps, cancellation);
        double[] kl = [.. metrics.Select(step => step[MetricNames.Kl]).OfType<JsonNode>().Select(value => value.GetValue<double>())];
        var measured = await EvaluationReports.ReadAsync(input, datasets, artifacts, cancellation);
        var report = EvaluationReports.Create(measured, input, request, kl);
        var outcome = new RunOutcome(
            input.RunId,
            report.Before.HateProbability.Mean,
            report.After.HateProbability.Mean,
            input.Alarm is null
                && report.After.HateProbability.Mean < report.Before.HateProbability.Mean
                && report.After.RougeL.Mean >= request.Evaluation.MinRougeShare * report.Before.RougeL.Mean,
            input.Prepared,
            input.Steps)
        {
            Alarm = input.Alarm,
        };
        var files = new Dictionary<string, byte[]>
        {
            [RunFiles.AdapterConfig] = PeftAdapterFolder.WriteConfig(request.Lora, Source.Parse(request.Model.Source).Name),
            [RunFiles.AdapterWeights] = checkpoint[TrainingState.AdapterFile],
            [RunFiles.Metrics] = Encoding.UTF8.GetBytes(string.Concat(metrics.Select(step => step.ToJsonString() + "\n"))),
            [RunFiles.Evaluation] = JsonSerializer.SerializeToUtf8Bytes(report, ContractsJson.Indented),
            [RunFiles.Samples] = JsonLines(EvaluationReports.Pairs(measured)),
            [RunFiles.Report] = ReportPage.Render(report, metrics, request, outcome.Published),
        };
        return new NewArtifact<RunOutcome>(files, outcome);
    }

    private static byte[] JsonLines<T>(IEnumerable<T> rows)
    {
        return Encoding.UTF8.GetBytes(string.Concat(rows.Select(row => JsonSerializer.Serialize(row, ContractsJson.Options) + "\n")));
    }

    /// <summary>adapters/latest moves by If-Match: of two runs that publish at once, neither overwrites what it has not seen.</summary>
    private async Task MoveLatestAsync(LatestAdapter latest, CancellationToken cancellation)
    {
        var blob = await blobs.BlobAsync(BlobPaths.LatestAdapter);
        var content = BinaryData.FromBytes(JsonSerializer.SerializeToUtf8Bytes(latest, ContractsJson.Indented));
        while (true)
        {
            BlobRequestConditions unchanged;
            try
            {
                var current = await blob.DownloadContentAsync(cancellation);
                var serving = JsonSerializer.Deserialize<LatestAdapter>(current.Value.Content, ContractsJson.Options);
                if (serving?.RunId == latest.RunId) return;
                unchanged = new BlobRequestConditions { IfMatch = current.Value.Details.ETag };
            }
            catch (RequestFailedException e) when (e.Status == 404)
            {
                unchanged = new BlobRequestConditions { IfNoneMatch = ETag.All };
            }

            try
            {
                await blob.UploadAsync(content, new BlobUploadOptions { Conditions = unchanged }, cancellation);
                return;
            }
            catch (RequestFailedException e) when (e.Status is 409 or 412)
            {
                // Another run moved it in between: look again.
            }
        }
    }
}
