using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Preferences;

namespace RlhfFunctions.Ml.Tests.Preferences;

public class RewardQualityTests
{
    [Fact]
    public void Four_comparisons_give_the_numbers_worked_by_hand()
    {
        var lead = Math.Log(3); // a probability of ¾
        JudgedComparison[] judged = [new("p", 1, lead, 10), new("p", 0, -lead, 10), new("q", 1, lead, -10), new("q", 0, lead, -10), new("q", 0.5, 0, 0)];
        var report = RewardQuality.Of(judged, seed: 1);
        Assert.Equal((5, 4), (report.Comparisons, report.Decided));
        Assert.Equal(0.75, report.Accuracy.Mean);
        Assert.Equal(0.5, report.ShorterAccuracy.Mean); // right on the second and the third
        Assert.Equal(((3 * 0.0625) + 0.5625) / 4, report.Brier, 1e-12);
        Assert.Equal(0, report.CalibrationError, 1e-12); // ¾ sure and right in ¾
        Assert.Equal((0.75, 4), (report.Reliability.Single().Accuracy, report.Reliability.Single().Count));
        // Leads 1, −1, 1, 1, 0 (mean 0.4) against 1, 1, −1, −1, 0 (mean 0): Σxy = −2, Σxx = 3.2, Σyy = 4.
        Assert.Equal(-2 / Math.Sqrt(3.2 * 4), report.LengthCorrelation, 1e-12);
    }

    [Fact]
    public void Overconfidence_shows_in_the_calibration()
    {
        var sure = Enumerable.Range(0, 100).Select(i => new JudgedComparison($"{i}", i < 60 ? 1 : 0, 8, i % 2 == 0 ? 1 : -1)).ToArray();
        Assert.Equal(0.4, RewardQuality.Of(sure, 1).CalibrationError, 1e-3);
    }

    [Theory]
    [InlineData(0.9, 0.5, null)]
    [InlineData(0.5, 0.3, "chance")]
    [InlineData(0.7, 0.9, "shorter")]
    public void A_model_no_better_than_chance_or_than_the_shorter_text_is_refused(double accuracy, double shorter, string? why)
    {
        var judged = Enumerable.Range(0, 200).Select(i =>
            new JudgedComparison($"{i}", 1, Drawn(i, "model") < accuracy ? 1 : -1, Drawn(i, "shorter") < shorter ? -1 : 1)).ToArray();
        var refusal = RewardQuality.Of(judged, seed: 1).Refusal;
        if (why is null)
            Assert.Null(refusal);
        else
            Assert.Contains(why, refusal);
    }

    [Fact]
    public void Comparisons_of_one_prompt_do_not_make_it_surer()
    {
        JudgedComparison Of(int prompt) => new($"{prompt}", 1, prompt % 3 == 0 ? -1 : 1, 0);
        var apart = RewardQuality.Of([.. Enumerable.Range(0, 30).Select(Of)], 1).Accuracy;
        var repeated = RewardQuality.Of([.. Enumerable.Range(0, 30).SelectMany(i => Enumerable.Repeat(Of(i), 10))], 1).Accuracy;
        Assert.Equal(apart.Low, repeated.Low, 1e-9);
        Assert.Equal(300, repeated.Count);
    }

    [Fact]
    public void Ties_alone_say_nothing() => Assert.Throws<ArgumentException>(() => RewardQuality.Of([new("p", 0.5, 1, 1)], 1));

    private static double Drawn(int i, string what) => Seeds.Uniform(Seeds.Derive(7, what, i), 0);
}
