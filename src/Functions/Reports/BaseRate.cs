using RlhfFunctions.Contracts;

namespace RlhfFunctions.Reports;

/// <summary>Whether there is anything to unlearn.</summary>
internal static class BaseRate
{
    /// <param name="labelBefore">Mean probability of the judged label on the held-out dialogues before learning; null: there was no judge.</param>
    /// <param name="settings">The floor, the direction, and whom to check.</param>
    /// <returns>What is the matter and what to do, or null when there is enough to learn from, or nobody to tell.</returns>
    public static string? NothingToUnlearn(double? labelBefore, EvaluationSettings settings)
    {
        if (labelBefore is not { } before || settings.Direction.Undesired(before) >= settings.MinToUnlearn) return null;
        (string bound, string provoke) = settings.Direction == LabelDirection.Lower
            ? ($"below evaluation.minToUnlearn = {settings.MinToUnlearn}", "such")
            : ($"less than evaluation.minToUnlearn = {settings.MinToUnlearn} away from 1", "other");
        return $"There is hardly anything to unlearn: before learning, the mean {settings.Label} probability on the held-out dialogues is {before:F3}, "
            + $"{bound}. Look for dialogues or a data.promptTemplate that provoke {provoke} responses, and check that \"{settings.Label}\" "
            + "is the label that the judge has for them (evaluation.label), and evaluation.direction what is wanted.";
    }
}
