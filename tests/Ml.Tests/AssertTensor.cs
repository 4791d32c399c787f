using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests;

/// <summary>Comparisons of tensors that say by how much they fail.</summary>
internal static class AssertTensor
{
    public static void Close(Tensor expected, Tensor actual, double tolerance, string what = "")
    {
        using var scope = NewDisposeScope();
        Assert.Equal(expected.shape, actual.shape);
        var difference = expected.numel() == 0 ? 0 : (expected.to(float64) - actual.to(float64)).abs().max().item<double>();
        Assert.True(difference <= tolerance, $"{what} differs by {difference}, more than {tolerance}.");
    }

    public static void Identical(Tensor expected, Tensor actual, string what = "")
    {
        Assert.Equal(expected.dtype, actual.dtype);
        Assert.Equal(expected.shape, actual.shape);
        Assert.True(expected.bytes.SequenceEqual(actual.bytes), $"{what} is not the same bit for bit.");
    }
}
