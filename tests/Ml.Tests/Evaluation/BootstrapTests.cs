using CsCheck;
using RlhfFunctions.Ml.Evaluation;

namespace RlhfFunctions.Ml.Tests.Evaluation;

public class BootstrapTests
{
    [Fact]
    public void The_interval_holds_the_mean() =>
        Gen.Select(Gen.Double[-10, 10].Array[1, 50], Gen.ULong).Sample((values, seed) =>
        {
            var summary = Bootstrap.Summarize(values, seed, resamples: 200);
            Assert.Equal(values.Average(), summary.Mean, 9);
            Assert.InRange(summary.Mean, summary.Low - 1e-9, summary.High + 1e-9);
            Assert.InRange(summary.Low, values.Min() - 1e-9, summary.High);
            Assert.InRange(summary.High, summary.Low, values.Max() + 1e-9);
            Assert.Equal(values.Length, summary.Count);
        });

    [Fact]
    public void For_many_values_the_interval_is_the_normal_one()
    {
        var values = Enumerable.Range(0, 1000).Select(i => i / 1000.0).ToArray();
        var summary = Bootstrap.Summarize(values, seed: 1);
        var margin = 1.96 * summary.StandardDeviation / Math.Sqrt(values.Length);
        Assert.Equal(summary.Mean - margin, summary.Low, 0.1 * margin);
        Assert.Equal(summary.Mean + margin, summary.High, 0.1 * margin);
    }

    [Fact]
    public void Spread_is_the_sample_standard_deviation()
    {
        Assert.Equal(Math.Sqrt(5 / 3.0), Bootstrap.Summarize([1, 2, 3, 4], seed: 1).StandardDeviation, 12);
        Assert.Equal(new(0.3, 0, 0.3, 0.3, 1), Bootstrap.Summarize([0.3], seed: 1));
    }

    [Fact]
    public void The_same_seed_gives_the_same_interval()
    {
        double[] values = [0.1, 0.9, 0.4, 0.2, 0.7];
        Assert.Equal(Bootstrap.Summarize(values, seed: 7), Bootstrap.Summarize(values, seed: 7));
        Assert.NotEqual(Bootstrap.Summarize(values, seed: 7), Bootstrap.Summarize(values, seed: 8));
    }

    [Fact]
    public void Nothing_and_not_a_number_are_refused()
    {
        Assert.Throws<ArgumentException>(() => Bootstrap.Summarize([], seed: 1));
        var failure = Assert.Throws<ArgumentException>(() => Bootstrap.Summarize([1, double.NaN], seed: 1));
        Assert.Contains("dialogue 1", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Diversity_counts_what_differs()
    {
        string[] texts = ["a b a", "a b\nc", "a b a", ""];
        Assert.Equal(3 / 9.0, TextDiversity.DistinctNGrams(texts, 1), 12); // a, b, c of nine words
        Assert.Equal(3 / 6.0, TextDiversity.DistinctNGrams(texts, 2), 12); // a b, b a, b c of six pairs
        Assert.Equal(0, TextDiversity.DistinctNGrams(texts, 4));
        Assert.Equal(3 / 4.0, TextDiversity.DistinctTexts(texts), 12);
        Assert.Equal(0, TextDiversity.DistinctTexts([]));
    }
}
