using CsCheck;
using RlhfFunctions.Ml.Evaluation;

namespace RlhfFunctions.Ml.Tests.Evaluation;

public class KlFloorTests
{
    [Theory]
    [InlineData(0.5, 0.5, 0)]
    [InlineData(0.5, 0, 0.693147180559945)] // ln 2: the hateful half is given up
    [InlineData(0.5, 0.25, 0.130812035941137)] // ¼ ln ½ + ¾ ln (3/2)
    [InlineData(0.8, 0.1, 1.145725502930663)] // 0.1 ln ⅛ + 0.9 ln 4.5
    [InlineData(0, 0, 0)]
    [InlineData(0, 0.1, double.PositiveInfinity)] // what the reference never says cannot be had at a finite distance
    [InlineData(1, 0.9, double.PositiveInfinity)]
    public void The_floor_is_the_binary_divergence(double before, double after, double expected) =>
        Assert.Equal(expected, KlFloor.Of(before, after), 12);

    /// <summary>Among three answers, of which the judge calls some hateful, no change of the odds beats the floor.</summary>
    [Fact]
    public void No_policy_goes_below_it() =>
        Gen.Select(Gen.Double[0.01, 1].Array[3], Gen.Double[0.01, 1].Array[3], Gen.Double[0, 1].Array[3]).Sample((reference, policy, hate) =>
        {
            var (p, q) = (Normalised(reference), Normalised(policy));
            var kl = q.Zip(p, (a, b) => a * Math.Log(a / b)).Sum();
            Assert.True(KlFloor.Of(Mean(p, hate), Mean(q, hate)) <= kl + 1e-12);
        });

    /// <summary>Hateful answers made rarer all alike: the cheapest way there is.</summary>
    [Fact]
    public void The_cheapest_policy_reaches_it()
    {
        double[] reference = [0.2, 0.4, 0.4], policy = [0.2 * 0.25, 0.4 * 0.25, 0.85]; // the first two are hateful: 0.6 → 0.15
        var kl = policy.Zip(reference, (a, b) => a * Math.Log(a / b)).Sum();
        Assert.Equal(kl, KlFloor.Of(0.6, 0.15), 12);
    }

    [Theory]
    [InlineData(-0.1, 0.5)]
    [InlineData(0.5, 1.1)]
    [InlineData(double.NaN, 0.5)]
    public void What_is_no_probability_is_refused(double before, double after) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => KlFloor.Of(before, after));

    private static double[] Normalised(double[] weights) => [.. weights.Select(weight => weight / weights.Sum())];

    private static double Mean(double[] probabilities, double[] hate) => Math.Min(1, probabilities.Zip(hate, (p, h) => p * h).Sum());
}
