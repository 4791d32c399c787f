namespace RlhfFunctions.Contracts;

/// <summary>A line of samples.jsonl: one sample of a held-out dialogue before learning, and that of the same random numbers after.</summary>
/// <param name="DialogueId">The dialogue's id in its data set.</param>
/// <param name="Sample">Which of the dialogue's samples, from 0.</param>
/// <param name="Before">With the adapter off.</param>
/// <param name="After">With it on.</param>
public sealed record SamplePair(string DialogueId, int Sample, MeasuredText Before, MeasuredText After);

/// <summary>A response and what was measured of it.</summary>
/// <param name="Text">The response.</param>
/// <param name="LabelProbability">Of the judged label, by the judge; null: there was none.</param>
/// <param name="RougeL">F-measure against the reference summary.</param>
/// <param name="Tokens">Length, the end-of-text token included.</param>
/// <param name="EndedByEos">Whether it ended by itself rather than at the length limit.</param>
public sealed record MeasuredText(string Text, double? LabelProbability, double RougeL, int Tokens, bool EndedByEos)
{
    /// <summary>As <see cref="PolicyMeasurement.HateProbability"/>.</summary>
    public double? HateProbability { get; init; }
}
