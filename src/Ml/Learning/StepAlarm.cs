using RlhfFunctions.Contracts;

namespace RlhfFunctions.Ml.Learning;

/// <summary>Whether a step shows a policy that goes wrong.</summary>
public static class StepAlarm
{
    /// <summary>Why the run should stop, in a sentence that names the limit and what to do; null: it need not.</summary>
    /// <param name="step">The step, from 0.</param>
    /// <param name="metrics">What it reports; a KL that is not finite is absent.</param>
    /// <param name="largestRatio">Largest mean ratio of a mini-batch; ∞ where one was not finite.</param>
    /// <param name="firstLength">Mean response length of the run's first step, in tokens.</param>
    /// <param name="algorithm">Its settings have the limits.</param>
    public static string? Find(int step, IReadOnlyDictionary<string, double> metrics, double largestRatio, double firstLength, Algorithm algorithm)
    {
        var (section, settings) = (algorithm.Settings.Section, algorithm.Settings.Alarms);
        double? kl = metrics.TryGetValue(MetricNames.Kl, out var measured) ? measured : null;
        if (algorithm.MeasuresKl && kl is null)
            return $"Step {step}: the KL from the reference is not a finite number, so the policy is broken. Lower {section}.learningRate.";
        if (kl > settings.MaxKl)
            return FormattableString.Invariant($"Step {step}: the KL from the reference, {kl:G4} nats per response, is above {section}.alarms.maxKl = {settings.MaxKl}. ")
                + $"Lower {section}.learningRate, raise {section}.klCoefficient, or allow more.";
        if (largestRatio > settings.MaxRatio)
            return FormattableString.Invariant($"Step {step}: a mini-batch's mean ratio of new to old probabilities, {largestRatio:G4}, is above ")
                + FormattableString.Invariant($"{section}.alarms.maxRatio = {settings.MaxRatio}. Lower {section}.learningRate or {section}.epochs, set {section}.maxGradientNorm, or allow more.");

        var length = metrics[MetricNames.ResponseLengthMean];
        if (algorithm.Samples && Math.Max(length / firstLength, firstLength / length) > settings.MaxLengthDrift)
            return FormattableString.Invariant($"Step {step}: responses of {length:F1} tokens, where the run's first step had {firstLength:F1}, differ by a factor above ")
                + FormattableString.Invariant($"{section}.alarms.maxLengthDrift = {settings.MaxLengthDrift}. Look whether the reward favours length, raise {section}.klCoefficient, or allow more.");
        return null;
    }
}
