using RlhfFunctions.Contracts;

namespace RlhfFunctions.Ml.Ppo;

/// <summary>The adaptive KL coefficient of Ziegler et al. (arXiv:1909.08593, §2.2).</summary>
public static class KlController
{
    private const double LargestError = 0.2;

    /// <summary>β · (1 + clip(KL / target − 1, ±0.2) · samples / horizon); β itself where it is fixed.</summary>
    /// <param name="coefficient">β of the step that was taken.</param>
    /// <param name="sequenceKl">That step's KL from the reference, summed over a response, mean over the samples.</param>
    /// <param name="samples">Samples in the step.</param>
    /// <param name="settings">Target and horizon.</param>
    public static double Next(double coefficient, double sequenceKl, int samples, PpoSettings settings)
    {
        if (!settings.AdaptiveKl)
            return coefficient;
        var error = Math.Clamp((sequenceKl / settings.TargetKl) - 1, -LargestError, LargestError);
        return coefficient * (1 + (error * samples / settings.KlHorizon));
    }
}
