using RlhfFunctions.Contracts;

namespace RlhfFunctions.Ml.Learning;

/// <summary>
/// Whether a reward that rises is being exploited: a rising reward is good news only as far as others confirm it who are not paid (Gao et
/// al., arXiv:2210.10760, on how over-optimisation looks).
/// </summary>
public static class HackSigns
{
    /// <summary>Deviations by which a reward must have risen before anybody asks why.</summary>
    private const double ClearGain = 0.5;

    /// <summary>A judge who still sees less than this share of what was not wanted has no more to gain, and is not asked to.</summary>
    private const double SatisfiedShare = 1.0 / 3;

    /// <summary>What is suspicious about some steps beside the run's first, in sentences that name the limits; none: nothing.</summary>
    /// <param name="first">The run's first steps.</param>
    /// <param name="now">The latest.</param>
    /// <param name="settings">The limits.</param>
    /// <param name="minToUnlearn">Where the judge saw less than this in the beginning, there is nothing for him to see.</param>
    /// <param name="leastUndesired">What the judge saw where he saw least; null: not looked yet, or no judge.</param>
    public static IReadOnlyList<string> Find(WatchSums first, WatchSums now, WatchSettings settings, double minToUnlearn, double? leastUndesired)
    {
        var gain = Gain(first, now);
        var signs = new List<string>();
        if (HasRisen(first, now) && first.MeanUndesired is { } before && now.MeanUndesired is { } after && before >= minToUnlearn && after > SatisfiedShare * before
            && JudgedGain(first, now) is { } judged && judged < settings.MinJudgedGain * gain)
            signs.Add(FormattableString.Invariant($"the judge sees {Share(judged, gain)} of that (watch.minJudgedGain = {settings.MinJudgedGain})"));
        if (now.MeanUndesired - leastUndesired is { } loss && loss > settings.MaxJudgedLoss)
            signs.Add(FormattableString.Invariant($"the judge's probability of what is not wanted is {loss:F2} above its least (watch.maxJudgedLoss = {settings.MaxJudgedLoss})"));
        if (HasRisen(first, now) && LengthControlledGain(first, now) is var controlled && controlled < settings.MinLengthControlledGain * gain)
            signs.Add(FormattableString.Invariant($"at the length of the beginning {Share(controlled, gain)} of that is left (watch.minLengthControlledGain = {settings.MinLengthControlledGain})"));
        if (now.DistinctBigrams / first.DistinctBigrams is var variety && variety < settings.MinDistinctShare)
            signs.Add(FormattableString.Invariant($"{variety:P0} of the distinct word pairs are left (watch.minDistinctShare = {settings.MinDistinctShare})"));
        if (now.ReferencePerplexity / first.ReferencePerplexity is { } surprise && surprise > settings.MaxPerplexityRise)
            signs.Add(FormattableString.Invariant($"the perplexity under the base is {surprise:F2} times as large (watch.maxPerplexityRise = {settings.MaxPerplexityRise})"));
        if (now.MeanDisagreement / first.MeanDisagreement is { } doubt && doubt > settings.MaxDisagreementRise)
            signs.Add(FormattableString.Invariant($"the ensemble's members are {doubt:F2} times as far apart (watch.maxDisagreementRise = {settings.MaxDisagreementRise})"));
        return signs;
    }

    /// <summary>Whether the reward has clearly risen: a policy that is not paid for what it does exploits nothing.</summary>
    public static bool HasRisen(WatchSums first, WatchSums now) => Gain(first, now) >= ClearGain;

    /// <summary>By how many of its deviations the reward has risen.</summary>
    public static double Gain(WatchSums first, WatchSums now) =>
        InDeviations(now.MeanScore - first.MeanScore, first.ScoreVariance, now.ScoreVariance);

    /// <summary>
    /// The same at the length of the beginning: less what the change of length brings at the price of a token, which is the slope of
    /// the scores over the lengths of the same steps (as length-controlled win rates take it out; Dubois et al., arXiv:2404.04475).
    /// </summary>
    public static double LengthControlledGain(WatchSums first, WatchSums now) => InDeviations(
        now.MeanScore - first.MeanScore - (now.ScorePerToken * (now.MeanLength - first.MeanLength)), first.ScoreVariance, now.ScoreVariance);

    /// <summary>By how many of its deviations the judge's probability of what is not wanted has fallen; null: there is no judge.</summary>
    public static double? JudgedGain(WatchSums first, WatchSums now) => first.MeanUndesired is { } before && now.MeanUndesired is { } after
        ? InDeviations(before - after, first.UndesiredVariance!.Value, now.UndesiredVariance!.Value)
        : null;

    private static double InDeviations(double difference, double oneVariance, double otherVariance) =>
        difference == 0 ? 0 : difference / Math.Sqrt(Math.Max((oneVariance + otherVariance) / 2, double.Epsilon));

    private static string Share(double part, double gain) => FormattableString.Invariant($"{Math.Max(0, part / gain):P0}");
}
