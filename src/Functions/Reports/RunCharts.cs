using System.Text.Json.Nodes;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Reports;

/// <summary>A run's steps, as the pages show them.</summary>
/// <param name="RunId">The run.</param>
/// <param name="Request">Its settings.</param>
/// <param name="Metrics">One object a step, by the metrics' names.</param>
internal sealed record RunSteps(string RunId, RunRequest Request, IReadOnlyList<JsonObject> Metrics);

/// <summary>The charts of one run, or of several over each other.</summary>
internal static class RunCharts
{
    /// <summary>
    /// What every run reports, then each term of a reward that has several. A metric that no step has is left out: no classifier tells
    /// the judged label's probability, or every mini-batch was skipped.
    /// </summary>
    public static IEnumerable<StepChart> Of(params IReadOnlyList<RunSteps> runs)
    {
        string labels = string.Join(" or ", runs.Select(run => LabelOf(run.Request)).Distinct());
        (string Title, string Unit, string Name)[] metrics =
        [
            ("Reward", "mean score", MetricNames.RewardMean),
            ($"Probability of {labels}", "by the reward model", MetricNames.LabelProbability),
            ("KL from the reference", "nats per response", MetricNames.Kl),
            ("Response length", "tokens", MetricNames.ResponseLengthMean),
            ("Policy loss", "what the update lowers", MetricNames.PolicyLoss),
            ("Value loss", "clipped squared error", MetricNames.ValueLoss),
            ("Margin", "of the chosen over the rejected responses", MetricNames.PreferenceMargin),
            ("Right preferences", "share of pairs", MetricNames.PreferenceAccuracy),
            ("Judge, while learning", "probability of what is not wanted", MetricNames.WatchedUndesired),
            ("Length-controlled gain", "of the reward, in its deviations", MetricNames.WatchedLengthControlled),
            ("Distinct word pairs", "of a step's responses, share", MetricNames.WatchedDistinct),
            ("Perplexity under the base", "of the responses", MetricNames.WatchedPerplexity),
            ("Ensemble's disagreement", "deviation of its members", MetricNames.WatchedDisagreement),
            .. runs.Select(run => run.Request.Reward?.Terms ?? []).Where(terms => terms.Count > 1).SelectMany(terms => terms).Select(term => term.Name).Distinct()
                .Select(name => ($"Reward term {name}", "mean before its weight", MetricNames.RewardTerm(name))),
        ];
        return metrics
            .Select(metric => new StepChart(metric.Title, metric.Unit, [.. runs.Select(run => Line(run, metric.Name))])
            {
                Marks = metric.Name == MetricNames.Kl && runs.Count == 1 ? [.. KlMarks(runs[0].Request.Training)] : [],
            })
            .Where(chart => chart.Lines.Any(line => line.Values.Any(value => value is not null)));
    }

    /// <summary>What the reward's first classifier calls the judged label.</summary>
    public static string LabelOf(RunRequest request)
    {
        return request.Reward?.Classifiers.FirstOrDefault()?.JudgedLabel ?? request.Evaluation.Label;
    }

    private static StepLine Line(RunSteps run, string metric)
    {
        return new StepLine(run.RunId, [.. run.Metrics.Select(step => step[metric]?.GetValue<double>())]);
    }

    /// <summary>Where the adaptive coefficient steers to, and where the run stops itself.</summary>
    private static IEnumerable<ChartMark> KlMarks(TrainingSettings training)
    {
        if (training is PpoSettings { AdaptiveKl: true } ppo) yield return new ChartMark("target", ppo.TargetKl);
        if (training.Alarms.MaxKl is { } alarm) yield return new ChartMark("alarm", alarm);
    }
}
