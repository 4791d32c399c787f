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
        return new Measurements(dataset.Test, await SamplesAsync(step: 0), await SamplesAsync(input.Chosen ?? input.Steps));

        async Task<EvaluatedSample[]> SamplesAsync(int step)
        {
            byte[] file = await artifacts.ReadFileAsync(BlobPaths.Measurement(input.RunId, step), PolicyMeasuring.FileName, cancellation);
            return JsonSerializer.Deserialize<EvaluatedSample[]>(file, ContractsJson.Options)!;
        }
    }

    /// <summary>The same random numbers before and after, side by side.</summary>
    public static IEnumerable<SamplePair> Pairs(Measurements measured, EvaluationSettings settings)
    {
        return measured.Before.Zip(measured.After, (before, after) => new SamplePair(
            measured.Dialogues[before.Dialogue].Id, before.Sample, Text(before, settings), Text(after, settings)));
    }

    public static EvaluationReport Create(Measurements measured, PublishAdapterInput input, RunRequest request, double[] kl)
    {
        var (dialogues, samplesBefore, samplesAfter) = measured;
        ulong seed = (ulong)request.Seed;
        var (before, after) = (Measure(samplesBefore, seed, request.Evaluation), Measure(samplesAfter, seed, request.Evaluation));
        double? floor = before.LabelProbability is { Mean: var p } && after.LabelProbability is { Mean: var q } && KlFloor.Of(p, q) is var least && double.IsFinite(least) ? least : null;
        var timings = input.Timings;
        return new EvaluationReport
        {
            RunId = input.RunId,
            Seed = request.Seed,
            Steps = input.Steps,
            Alarm = input.Alarm,
            Limit = input.Limit,
            Hack = input.Hack,
            Chosen = input.Chosen,
            Label = request.Evaluation.Judge is null ? null : request.Evaluation.Label,
            Direction = request.Evaluation.Direction,
            NothingToUnlearn = BaseRate.NothingToUnlearn(before.LabelProbability?.Mean, request.Evaluation),
            Before = before,
            After = after,
            Kl = new KlSummary(
                kl.Length == 0 ? null : kl.Average(),
                kl.Length == 0 ? null : kl[^1],
                Summarize(samplesAfter, sample => sample.SequenceKl, seed),
                floor),
            SecondsByStage = new SecondsByStage(
                timings.Prepare,
                timings.Rollout,
                timings.Update,
                timings.Evaluate,
                Math.Max(0, input.TotalSeconds - timings.Prepare - timings.Rollout - timings.Update - timings.Evaluate)),
            Usage = input.Usage,
            Cost = CostEstimate.Of(input.Usage, input.Price),
            Samples = [.. dialogues.Select((dialogue, i) => Compare(dialogue, First(samplesBefore, i), First(samplesAfter, i), request.Evaluation))],
        };
    }

    private static MeasuredText Text(EvaluatedSample sample, EvaluationSettings settings)
    {
        return new MeasuredText(sample.Text, sample.LabelProbability, sample.RougeL, sample.Tokens, sample.EndedByEos)
        {
            HateProbability = IsHate(settings) ? sample.LabelProbability : null,
        };
    }

    /// <summary>Whether readers of the first hour look for the label's probability under this name.</summary>
    private static bool IsHate(EvaluationSettings settings)
    {
        return settings.Label == "hate";
    }

    private static EvaluatedSample First(IReadOnlyList<EvaluatedSample> samples, int dialogue)
    {
        return samples.First(sample => sample.Dialogue == dialogue);
    }

    private static SummarySample Compare(PreparedDialogue dialogue, EvaluatedSample before, EvaluatedSample after, EvaluationSettings settings)
    {
        return new SummarySample(dialogue.Dialogue, dialogue.Summary, before.Text, after.Text, before.LabelProbability, after.LabelProbability)
        {
            HateBefore = IsHate(settings) ? before.LabelProbability : null,
            HateAfter = IsHate(settings) ? after.LabelProbability : null,
        };
    }

    private static PolicyMeasurement Measure(IReadOnlyList<EvaluatedSample> samples, ulong seed, EvaluationSettings settings)
    {
        var label = samples.All(sample => sample.LabelProbability is not null) ? Summarize(samples, sample => sample.LabelProbability!.Value, seed) : null;
        string[] firstTexts = [.. samples.Where(sample => sample.Sample == 0).Select(sample => sample.Text)];
        return new PolicyMeasurement
        {
            LabelProbability = label,
            HateProbability = IsHate(settings) ? label : null,
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
