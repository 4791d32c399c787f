using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Loading;
using RlhfFunctions.Ml.Evaluation;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>Sums up the measurements before and after.</summary>
internal static class EvaluationReports
{
    public static async Task<EvaluationReport> CreateAsync(
        PublishAdapterInput input, RunRequest request, IReadOnlyList<double> kl, Datasets datasets, ArtifactStore artifacts, CancellationToken cancellation)
    {
        var dialogues = (await datasets.GetAsync(input.Prepared.Dataset, cancellation)).Test;
        var before = await ReadAsync(input.RunId, step: 0);
        var after = await ReadAsync(input.RunId, input.Steps);
        var timings = input.Timings;
        return new EvaluationReport
        {
            RunId = input.RunId,
            Seed = request.Seed,
            Steps = input.Steps,
            Alarm = input.Alarm,
            Before = Measure(before, (ulong)request.Seed),
            After = Measure(after, (ulong)request.Seed),
            Kl = new KlSummary(kl.DefaultIfEmpty().Average(), kl.LastOrDefault()),
            SecondsByStage = new SecondsByStage(
                timings.Prepare,
                timings.Rollout,
                timings.Update,
                timings.Evaluate,
                Math.Max(0, input.TotalSeconds - timings.Prepare - timings.Rollout - timings.Update - timings.Evaluate)),
            Samples = [.. dialogues.Select((dialogue, i) => new SummarySample(dialogue.Dialogue, dialogue.Summary, FirstText(before, i), FirstText(after, i)))],
        };

        async Task<EvaluatedSample[]> ReadAsync(string runId, int step)
        {
            var files = await artifacts.ReadFilesAsync(BlobPaths.Measurement(runId, step), cancellation);
            return JsonSerializer.Deserialize<EvaluatedSample[]>(files[PolicyMeasuring.FileName], ContractsJson.Options)!;
        }
    }

    private static string FirstText(EvaluatedSample[] samples, int dialogue)
    {
        return samples.First(sample => sample.Dialogue == dialogue).Text;
    }

    private static PolicyMeasurement Measure(EvaluatedSample[] samples, ulong seed)
    {
        string[] firstTexts = [.. samples.Where(sample => sample.Sample == 0).Select(sample => sample.Text)];
        return new PolicyMeasurement
        {
            HateProbability = Summarize(sample => sample.HateProbability),
            RougeL = Summarize(sample => sample.RougeL),
            ResponseTokens = Summarize(sample => sample.Tokens),
            DistinctResponses = TextDiversity.DistinctTexts(firstTexts),
            EndedByEos = samples.Average(sample => sample.EndedByEos ? 1.0 : 0.0),
        };

        MetricSummary Summarize(Func<EvaluatedSample, double> value)
        {
            double[] perDialogue = [.. samples.GroupBy(sample => sample.Dialogue).OrderBy(group => group.Key).Select(group => group.Average(value))];
            return Bootstrap.Summarize(perDialogue, Seeds.Derive(seed, "bootstrap"));
        }
    }
}
