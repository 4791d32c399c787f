using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Learning;

namespace RlhfFunctions.Ml.Tests.Learning;

public class StepAlarmTests
{
    private static readonly AlarmSettings Limits = new() { MaxKl = 5, MaxRatio = 4, MaxLengthDrift = 2 };

    [Theory]
    [InlineData(5, 4, 40, null)]
    [InlineData(-1, 1, 10, null)]
    [InlineData(5.1, 4, 20, "ppo.alarms.maxKl")]
    [InlineData(1, 4.1, 20, "ppo.alarms.maxRatio")]
    [InlineData(1, double.PositiveInfinity, 20, "ppo.alarms.maxRatio")]
    [InlineData(1, 1, 40.1, "ppo.alarms.maxLengthDrift")]
    [InlineData(1, 1, 9.9, "ppo.alarms.maxLengthDrift")]
    public void A_step_beyond_a_limit_is_named_with_the_limit(double kl, double ratio, double length, string? names)
    {
        var alarm = Find(kl, ratio, length, Limits);
        if (names is null)
            Assert.Null(alarm);
        else
            Assert.Contains(names, alarm, StringComparison.Ordinal);
        Assert.Null(Find(kl, ratio, length, new() { MaxKl = null, MaxRatio = null, MaxLengthDrift = null }));
    }

    [Fact]
    public void A_kl_that_is_no_number_always_stops_the_run() =>
        Assert.Contains("finite", StepAlarm.Find(3, Metrics(null, 20), 1, 20, Ppo(new() { MaxKl = null })), StringComparison.Ordinal);

    [Fact]
    public void What_an_algorithm_does_not_measure_stops_nothing()
    {
        var withoutReference = new Grpo(new() { Alarms = Limits }, new());
        Assert.Null(StepAlarm.Find(3, Metrics(null, 20), 1, 20, withoutReference));
        Assert.Contains("grpo.alarms.maxRatio", StepAlarm.Find(3, Metrics(null, 20), 5, 20, withoutReference), StringComparison.Ordinal);
        Assert.Contains("finite", StepAlarm.Find(3, Metrics(null, 20), 1, 20, new Grpo(new() { KlCoefficient = 0.1 }, new())), StringComparison.Ordinal);
        Assert.Null(StepAlarm.Find(3, Metrics(null, 60), 1, 20, new Dpo(new() { Alarms = Limits }))); // it did not write them
    }

    [Theory]
    [InlineData(4, 1.5, 14)] // what a run that learns looks like
    [InlineData(10, 11, 30)]
    public void The_defaults_let_a_run_learn(double kl, double ratio, double length) => Assert.Null(Find(kl, ratio, length, new()));

    [Theory]
    [InlineData(60, 1, 20)]
    [InlineData(1, 1e6, 20)]
    [InlineData(1, 1, 1)]
    [InlineData(1, 1, 100)]
    public void The_defaults_catch_a_collapse(double kl, double ratio, double length) => Assert.NotNull(Find(kl, ratio, length, new()));

    private static string? Find(double kl, double ratio, double length, AlarmSettings settings) =>
        StepAlarm.Find(step: 3, Metrics(kl, length), ratio, firstLength: 20, Ppo(settings));

    private static Ppo Ppo(AlarmSettings settings) => new(new() { Alarms = settings }, new());

    private static Dictionary<string, double> Metrics(double? kl, double length)
    {
        var metrics = new Dictionary<string, double> { [MetricNames.ResponseLengthMean] = length };
        if (kl is { } value)
            metrics[MetricNames.Kl] = value;
        return metrics;
    }
}
