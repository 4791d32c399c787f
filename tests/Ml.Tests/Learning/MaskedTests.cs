using CsCheck;
using RlhfFunctions.Ml.Learning;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Learning;

public class MaskedTests
{
    private static readonly Gen<(float[] X, bool[] IsReal)> Rows = Gen.Select(
        Gen.Float[-10, 10].Array[12], Gen.Bool.Array[12].Where(mask => mask.Count(isReal => isReal) >= 2));

    [Fact]
    public void Mean_and_variance_are_those_of_the_real_positions() => Rows.Sample(rows =>
    {
        using var scope = NewDisposeScope();
        var real = rows.X.Where((_, i) => rows.IsReal[i]).Select(x => (double)x).ToArray();
        var mean = real.Average();
        var variance = real.Sum(x => (x - mean) * (x - mean)) / (real.Length - 1);
        var (x, isReal) = (tensor(rows.X).view(3, 4), tensor(rows.IsReal).view(3, 4));

        Assert.Equal(mean, Masked.Mean(x, isReal).item<float>(), 1e-4);
        Assert.Equal(variance, Masked.Variance(x, isReal).item<float>(), 1e-3);
    }, iter: 50);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Whitening_leaves_unit_variance_inside_and_zero_outside(bool keepMean) => Rows.Sample(rows =>
    {
        using var scope = NewDisposeScope();
        var (x, isReal) = (tensor(rows.X).view(3, 4), tensor(rows.IsReal).view(3, 4));
        if (Masked.Variance(x, isReal).item<float>() < 0.01)
            return;
        var whitened = Masked.Whiten(x, isReal, keepMean);

        Assert.Equal(1, Masked.Variance(whitened, isReal).item<float>(), 1e-3);
        Assert.Equal(keepMean ? Masked.Mean(x, isReal).item<float>() : 0, Masked.Mean(whitened, isReal).item<float>(), 1e-3);
        Assert.Equal(0, (whitened * isReal.logical_not()).abs().max().item<float>());
    }, iter: 50);
}
