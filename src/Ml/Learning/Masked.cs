using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Learning;

/// <summary>Moments over the true positions of a mask, all rows at once: every token weighs the same, whatever its row.</summary>
public static class Masked
{
    private const double WhiteningEpsilon = 1e-8;

    /// <summary>Σ x·m / Σ m. <paramref name="x"/> and <paramref name="isReal"/> [B, R] → scalar.</summary>
    public static Tensor Mean(Tensor x, Tensor isReal) => (x * isReal).sum() / isReal.sum();

    /// <summary>The unbiased variance (Bessel's n / (n − 1)) of the true positions. [B, R] → scalar.</summary>
    public static Tensor Variance(Tensor x, Tensor isReal)
    {
        var centred = x - Mean(x, isReal); // [B, R]
        var count = isReal.sum(); // []
        return Mean(centred * centred, isReal) * (count / (count - 1));
    }

    /// <summary>
    /// (x − mean) / √(variance + 1e-8), with the mean added back where <paramref name="keepMean"/>; zero outside the mask.
    /// [B, R] → [B, R].
    /// </summary>
    /// <remarks>
    /// TRL leaves the shifted values standing outside the mask, from where they leak through the advantage recursion into the
    /// shorter rows of a right-padded batch. With the zeros a right-padded batch gives what TRL gives for a left-padded one.
    /// </remarks>
    public static Tensor Whiten(Tensor x, Tensor isReal, bool keepMean)
    {
        var mean = Mean(x, isReal); // []
        var whitened = (x - mean) * (Variance(x, isReal) + WhiteningEpsilon).rsqrt(); // [B, R]
        return (keepMean ? whitened + mean : whitened) * isReal;
    }
}
