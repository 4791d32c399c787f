using RlhfFunctions.Contracts;

namespace RlhfFunctions.Reports;

/// <summary>Whether there is anything to unlearn.</summary>
internal static class BaseRate
{
    /// <param name="hateBefore">Mean hate probability on the held-out dialogues before learning, by the judge.</param>
    /// <param name="settings">The floor, and whom to check.</param>
    /// <returns>What is the matter and what to do, or null when the policy is hateful enough to learn from.</returns>
    public static string? NothingToUnlearn(double hateBefore, EvaluationSettings settings)
    {
        return hateBefore >= settings.MinHateToUnlearn
            ? null
            : $"There is hardly anything to unlearn: before learning, the mean hate probability on the held-out dialogues is {hateBefore:F3}, "
                + $"below evaluation.minHateToUnlearn = {settings.MinHateToUnlearn}. Look for dialogues or a data.promptTemplate that provoke hateful "
                + $"responses (quarrels, insults), and check that \"{settings.HateLabel}\" is the label that the judge has for them (evaluation.hateLabel).";
    }
}
