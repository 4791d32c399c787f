using System.Text.Json;
using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Evaluation;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Reports;
using RlhfFunctions.Runs;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Activities;

/// <summary>Sums up the measurements before and after.</summary>
internal static class EvaluationReports
{
    /// <summary>Every sample of the held-out dialogues, ordered by dialogue and sample.</summary>
    public sealed record Measurements(
        IReadOnlyList<PreparedDialogue> Dialogues, IReadOnlyList<EvaluatedSample> Before, IReadOnlyList<EvaluatedSample> After);

    public static async Task<Measurements> ReadAsync(
        PublishAdapterInput input, Datasets datasets, ArtifactStore artifacts, CancellationToken cancellation)
    {
        var dataset = await datasets.GetAsync(input.Prepared.Dataset, cancellation);
        return new Measurements(dataset.Test, await SamplesAsync(step: 0), await SamplesAsync(input.Steps));

        async Task<EvaluatedSample[]> SamplesAsync(int step)
        {
            byte[] file = await artifacts.ReadFileAsync(BlobPaths.Measurement(input.RunId, step), PolicyMeasuring.FileName, cancellation);
            return JsonSerializer.Deserialize<EvaluatedSample[]>(file, ContractsJson.Options)!;
        }
    }

    /// <summary>The same random numbers before and after, side by side.</summary>
    public static IEnumerable<SamplePair> Pairs(Measurements measured)
    {
        return measured.Before.Zip(measured.After, (before, after) => new SamplePair(
            measured.Dialogues[before.Dialogue].Id, before.Sample, Text(before), Text(after)));
    }

    public static EvaluationReport Create(Measurements measured, PublishAdapterInput input, RunRequest request, double[] kl)
    {
        var (dialogues, samplesBefore, samplesAfter) = measured;
        ulong seed = (ulong)request.Seed;
        var (before, after) = (Measure(samplesBefore, seed), Measure(samplesAfter, seed));
        double floor = KlFloor.Of(before.HateProbability.Mean, after.HateProbability.Mean);
        var timings = input.Timings;
        return new EvaluationReport
        {
            RunId = input.RunId,
            Seed = request.Seed,
            Steps = input.Steps,
            Alarm = input.Alarm,
            Limit = input.Limit,
            NothingToUnlearn = BaseRate.NothingToUnlearn(before.HateProbability.Mean, request.Evaluation),
            Before = before,
            After = after,
            Kl = new KlSummary(
                kl.Length == 0 ? null : kl.Average(),
                kl.Length == 0 ? null : kl[^1],
                Summarize(samplesAfter, sample => sample.SequenceKl, seed),
                double.IsFinite(floor) ? floor : null),
            SecondsByStage = new SecondsByStage(
                timings.Prepare,
                timings.Rollout,
                timings.Update,
                timings.Evaluate,
                Math.Max(0, input.TotalSeconds - timings.Prepare - timings.Rollout - timings.Update - timings.Evaluate)),
            Usage = input.Usage,
            Cost = CostEstimate.Of(input.Usage, input.Price),
            Samples = [.. dialogues.Select((dialogue, i) => Compare(dialogue, First(samplesBefore, i), First(samplesAfter, i)))],
        };
    }

    private static MeasuredText Text(EvaluatedSample sample)
    {
        return new MeasuredText(sample.Text, sample.HateProbability, sample.RougeL, sample.Tokens, sample.EndedByEos);
    }

    private static EvaluatedSample First(IReadOnlyList<EvaluatedSample> samples, int dialogue)
    {
        return samples.First(sample => sample.Dialogue == dialogue);
    }

    private static SummarySample Compare(PreparedDialogue dialogue, EvaluatedSample before, EvaluatedSample after)
    {
        return new SummarySample(dialogue.Dialogue, dialogue.Summary, before.Text, after.Text, before.HateProbability, after.HateProbability);
    }

    private static PolicyMeasurement Measure(IReadOnlyList<EvaluatedSample> samples, ulong seed)
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

    private static MetricSummary Summarize(IReadOnlyList<EvaluatedSample> samples, Func<EvaluatedSample, double> value, ulong seed)
    {
        double[] perDialogue = [.. samples.GroupBy(sample => sample.Dialogue).OrderBy(group => group.Key).Select(group => group.Average(value))];
        return Bootstrap.Summarize(perDialogue, Seeds.Derive(seed, "bootstrap"));
    }
}
