using RlhfFunctions.Contracts;

namespace RlhfFunctions.Ml.Ppo;

/// <summary>Whether a step shows a policy that goes wrong.</summary>
public static class StepAlarm
{
    /// <summary>Why the run should stop, in a sentence that names the limit and what to do; null: it need not.</summary>
    /// <param name="step">The step, from 0.</param>
    /// <param name="metrics">What it reports; a KL that is not finite is absent.</param>
    /// <param name="largestRatio">Largest mean ratio of a mini-batch; ∞ where one was not finite.</param>
    /// <param name="firstLength">Mean response length of the run's first step, in tokens.</param>
    /// <param name="settings">The limits.</param>
    public static string? Find(int step, IReadOnlyDictionary<string, double> metrics, double largestRatio, double firstLength, AlarmSettings settings)
    {
        if (!metrics.TryGetValue(MetricNames.Kl, out var kl))
            return $"Step {step}: the KL from the reference is not a finite number, so the policy is broken. Lower ppo.learningRate.";
        if (kl > settings.MaxKl)
            return FormattableString.Invariant($"Step {step}: the KL from the reference, {kl:G4} nats per response, is above ppo.alarms.maxKl = {settings.MaxKl}. ")
                + "Lower ppo.learningRate or ppo.targetKl, raise ppo.klCoefficient, or allow more.";
        if (largestRatio > settings.MaxRatio)
            return FormattableString.Invariant($"Step {step}: a mini-batch's mean ratio of new to old probabilities, {largestRatio:G4}, is above ")
                + FormattableString.Invariant($"ppo.alarms.maxRatio = {settings.MaxRatio}. Lower ppo.learningRate or ppo.epochs, set ppo.maxGradientNorm, or allow more.");

        var length = metrics[MetricNames.ResponseLengthMean];
        if (Math.Max(length / firstLength, firstLength / length) > settings.MaxLengthDrift)
            return FormattableString.Invariant($"Step {step}: responses of {length:F1} tokens, where the run's first step had {firstLength:F1}, differ by a factor above ")
                + FormattableString.Invariant($"ppo.alarms.maxLengthDrift = {settings.MaxLengthDrift}. Look whether the reward favours length, raise ppo.klCoefficient, or allow more.");
        return null;
    }
}
