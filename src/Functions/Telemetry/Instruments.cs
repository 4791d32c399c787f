using System.Diagnostics.Metrics;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Telemetry;

/// <summary>
/// The worker's metrics. What a step came to is told by run; a step that is computed twice, because its first result was lost, counts
/// twice.
/// </summary>
internal static class Instruments
{
    public const string MeterName = "RlhfFunctions";

    private static readonly Meter Meter = new(MeterName);
    private static readonly Counter<long> Steps = Meter.CreateCounter<long>("rlhf.steps", "{step}", "PPO steps done.");
    private static readonly Counter<long> Tokens = Meter.CreateCounter<long>("rlhf.rollout.tokens", "{token}", "Tokens generated in rollouts.");
    private static readonly Histogram<double> ActivitySeconds = Meter.CreateHistogram<double>("rlhf.activity.duration", "s", "How long an activity took, the wait for its turn included.");
    private static readonly UpDownCounter<long> Waiting = Meter.CreateUpDownCounter<long>("rlhf.compute.waiting", "{activity}", "Activities that wait for processors or the GPU.");
    private static readonly Gauge<double> TokensPerSecond = Meter.CreateGauge<double>("rlhf.rollout.tokens_per_second", "{token}/s", "Of the last step's rollouts.");
    private static readonly Gauge<double> Reward = Meter.CreateGauge<double>("rlhf.reward", null, "Mean reward of the last step.");
    private static readonly Gauge<double> Kl = Meter.CreateGauge<double>("rlhf.kl", "nat", "Mean KL from the reference per response, in the last step.");
    private static readonly Gauge<double> KlCoefficient = Meter.CreateGauge<double>("rlhf.kl_coefficient", null, "The weight of the KL penalty in the last step.");
    private static readonly Gauge<double> LabelProbability = Meter.CreateGauge<double>("rlhf.label_probability", null, "Mean probability of the judged label in the last step, by the reward.");

    public static void ActivityEnded(string activity, string outcome, TimeSpan duration)
    {
        ActivitySeconds.Record(duration.TotalSeconds, new("rlhf.activity", activity), new("rlhf.outcome", outcome));
    }

    /// <param name="change">1 when one begins to wait, −1 when it ends.</param>
    public static void WaitingChanged(int change)
    {
        Waiting.Add(change);
    }

    /// <param name="runId">The run.</param>
    /// <param name="tokens">Tokens of the step's responses.</param>
    /// <param name="step">What it came to.</param>
    public static void StepDone(string runId, int tokens, StepReport step)
    {
        var run = KeyValuePair.Create(RunTag.Name, (object?)runId);
        Steps.Add(1, run);
        Tokens.Add(tokens, run);
        if (step.TokensPerSecond is { } speed) TokensPerSecond.Record(speed, run);
        Reward.Record(step.Reward, run);
        KlCoefficient.Record(step.KlCoefficient, run);
        if (step.Kl is { } kl) Kl.Record(kl, run);
        if (step.LabelProbability is { } judged) LabelProbability.Record(judged, run);
    }
}
