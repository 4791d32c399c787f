using RlhfFunctions.Contracts;

namespace RlhfFunctions.Ml.Ppo;

/// <summary>The learning rate's course over a run: linear from its full value at step 0 to the final share at the last step.</summary>
public static class LearningRate
{
    /// <summary>The share of the learning rates that applies at a step.</summary>
    public static double Share(int step, PpoSettings settings)
    {
        if (settings.Steps <= 1)
            return 1;
        var done = Math.Min(1, (double)step / (settings.Steps - 1));
        return 1 - ((1 - settings.FinalLearningRateShare) * done);
    }
}
