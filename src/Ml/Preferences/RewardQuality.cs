using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Evaluation;
using RlhfFunctions.Ml.Foundations;

namespace RlhfFunctions.Ml.Preferences;

/// <summary>A held-out comparison with what a model that has not seen its prompt says of it.</summary>
/// <param name="PromptId">Names the prompt.</param>
/// <param name="FirstWins">What was voted: 1, 0 or ½.</param>
/// <param name="Lead">Score of the first less that of the second.</param>
/// <param name="LengthLead">Characters of the first less those of the second.</param>
public sealed record JudgedComparison(string PromptId, double FirstWins, double Lead, int LengthLead);

/// <summary>How good a reward model is, from comparisons that were held out. Formulas as in Guo et al., arXiv:1706.04599.</summary>
public static class RewardQuality
{
    private const int Bins = 10;

    /// <param name="judged">At least one of them decided.</param>
    /// <param name="seed">Of the intervals.</param>
    /// <exception cref="ArgumentException">None of the comparisons is decided.</exception>
    public static RewardReport Of(IReadOnlyList<JudgedComparison> judged, ulong seed)
    {
        var decided = judged.Where(j => j.FirstWins is 0 or 1).ToArray();
        if (decided.Length == 0)
            throw new ArgumentException("No comparison is decided: ties alone say nothing of a reward model.");
        // Seen from the side the model prefers: how sure it is, from ½ to 1, and whether it is right.
        var bets = decided.Select(j => (Sure: Sigmoid(Math.Abs(j.Lead)), IsRight: Right(j.Lead, j) == 1)).ToArray();
        var bins = bets.GroupBy(bet => Math.Min((int)((bet.Sure - 0.5) * 2 * Bins), Bins - 1)).OrderBy(group => group.Key)
            .Select(group => new ReliabilityBin(group.Average(bet => bet.Sure), group.Average(bet => bet.IsRight ? 1.0 : 0), group.Count()))
            .ToArray();
        var report = new RewardReport
        {
            Comparisons = judged.Count,
            Decided = decided.Length,
            Accuracy = AccuracyOf(decided, seed),
            ShorterAccuracy = ByPrompt(decided, j => Right(-j.LengthLead, j), seed),
            LeadOverShorter = ByPrompt(decided, j => Right(j.Lead, j) - Right(-j.LengthLead, j), seed),
            Brier = decided.Average(j => Math.Pow(Sigmoid(j.Lead) - j.FirstWins, 2)),
            CalibrationError = bins.Sum(bin => Math.Abs(bin.Confidence - bin.Accuracy) * bin.Count) / decided.Length,
            Reliability = bins,
            LengthCorrelation = Correlation([.. judged.Select(j => j.Lead)], [.. judged.Select(j => (double)j.LengthLead)]),
        };
        return report with { Refusal = Refuse(report) };
    }

    /// <summary>Share of decided comparisons that the sign of the lead orders rightly, ½ where it is 0; the interval is by prompt.</summary>
    public static MetricSummary AccuracyOf(IReadOnlyList<JudgedComparison> decided, ulong seed) => ByPrompt(decided, j => Right(j.Lead, j), seed);

    /// <summary>Why the model should not steer a run, or null.</summary>
    private static string? Refuse(RewardReport report) => report switch
    {
        { Accuracy.Low: <= 0.5 } =>
            $"its held-out accuracy of {report.Accuracy.Mean:P0} ({report.Accuracy.Low:P0} to {report.Accuracy.High:P0}) is no better than chance",
        { LeadOverShorter.Mean: <= 0 } =>
            $"its held-out accuracy of {report.Accuracy.Mean:P0} is no better than always preferring the shorter text ({report.ShorterAccuracy.Mean:P0})",
        _ => null,
    };

    /// <summary>1: the sign says what was voted, 0: the opposite, ½: it does not say.</summary>
    private static double Right(double lead, JudgedComparison j) => lead == 0 ? 0.5 : lead > 0 == (j.FirstWins == 1) ? 1 : 0;

    /// <summary>The mean over comparisons, with an interval from drawing whole prompts.</summary>
    private static MetricSummary ByPrompt(IReadOnlyList<JudgedComparison> judged, Func<JudgedComparison, double> value, ulong seed) =>
        Bootstrap.SummarizeClusters(
            [.. judged.GroupBy(j => j.PromptId).Select(group => group.Select(value).ToArray())], Seeds.Derive(seed, "reward quality"));

    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    /// <summary>Pearson's r; 0 where one of the two does not vary.</summary>
    private static double Correlation(double[] x, double[] y)
    {
        var (meanX, meanY) = (x.Average(), y.Average());
        var (xx, yy) = (x.Sum(v => (v - meanX) * (v - meanX)), y.Sum(v => (v - meanY) * (v - meanY)));
        return xx == 0 || yy == 0 ? 0 : x.Zip(y, (a, b) => (a - meanX) * (b - meanY)).Sum() / Math.Sqrt(xx * yy);
    }
}
