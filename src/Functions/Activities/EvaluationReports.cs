using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Loading;
using RlhfFunctions.Ml.Evaluation;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Reports;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>Sums up the measurements before and after.</summary>
internal static class EvaluationReports
{
    public static async Task<EvaluationReport> CreateAsync(
        PublishAdapterInput input, RunRequest request, double[] kl, Datasets datasets, ArtifactStore artifacts, CancellationToken cancellation)
    {
        var dialogues = (await datasets.GetAsync(input.Prepared.Dataset, cancellation)).Test;
        var samplesBefore = await ReadAsync(input.RunId, step: 0);
        var samplesAfter = await ReadAsync(input.RunId, input.Steps);
        ulong seed = (ulong)request.Seed;
        var (before, after) = (Measure(samplesBefore, seed), Measure(samplesAfter, seed));
        double floor = KlFloor.Of(before.HateProbability.Mean, after.HateProbability.Mean);
        var timings = input.Timings;
        return new EvaluationReport
        {
            RunId = input.RunId,
            Seed = request.Seed,
            Steps = input.Steps,
            NothingToUnlearn = BaseRate.NothingToUnlearn(before.HateProbability.Mean, request.Evaluation),
            Before = before,
            After = after,
            Kl = new KlSummary(
                kl.Average(), kl[^1], Summarize(samplesAfter, sample => sample.SequenceKl, seed), double.IsFinite(floor) ? floor : null),
            SecondsByStage = new SecondsByStage(
                timings.Prepare,
                timings.Rollout,
                timings.Update,
                timings.Evaluate,
                Math.Max(0, input.TotalSeconds - timings.Prepare - timings.Rollout - timings.Update - timings.Evaluate)),
            Samples = [.. dialogues.Select((dialogue, i) => Compare(dialogue, First(samplesBefore, i), First(samplesAfter, i)))],
        };

        async Task<EvaluatedSample[]> ReadAsync(string runId, int step)
        {
            var files = await artifacts.ReadFilesAsync(BlobPaths.Measurement(runId, step), cancellation);
            return JsonSerializer.Deserialize<EvaluatedSample[]>(files[PolicyMeasuring.FileName], ContractsJson.Options)!;
        }
    }

    private static EvaluatedSample First(EvaluatedSample[] samples, int dialogue)
    {
        return samples.First(sample => sample.Dialogue == dialogue);
    }

    private static SummarySample Compare(PreparedDialogue dialogue, EvaluatedSample before, EvaluatedSample after)
    {
        return new SummarySample(dialogue.Dialogue, dialogue.Summary, before.Text, after.Text, before.HateProbability, after.HateProbability);
    }

    private static PolicyMeasurement Measure(EvaluatedSample[] samples, ulong seed)
    {
        string[] firstTexts = [.. samples.Where(sample => sample.Sample == 0).Select(sample => sample.Text)];
        return new PolicyMeasurement
        {
            HateProbability = Summarize(samples, sample => sample.HateProbability, seed),
            RougeL = Summarize(samples, sample => sample.RougeL, seed),
            ResponseTokens = Summarize(samples, sample => sample.Tokens, seed),
            DistinctResponses = TextDiversity.DistinctTexts(firstTexts),
            DistinctBigrams = TextDiversity.DistinctNGrams(firstTexts, 2),
            EndedByEos = samples.Average(sample => sample.EndedByEos ? 1.0 : 0.0),
        };
    }

    private static MetricSummary Summarize(EvaluatedSample[] samples, Func<EvaluatedSample, double> value, ulong seed)
    {
        double[] perDialogue = [.. samples.GroupBy(sample => sample.Dialogue).OrderBy(group => group.Key).Select(group => group.Average(value))];
        return Bootstrap.Summarize(perDialogue, Seeds.Derive(seed, "bootstrap"));
    }
}
