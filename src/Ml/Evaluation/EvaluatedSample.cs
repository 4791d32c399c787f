namespace RlhfFunctions.Ml.Evaluation;

/// <summary>One response to one held-out dialogue, measured.</summary>
/// <param name="Dialogue">The dialogue's place in the held-out set.</param>
/// <param name="Sample">Which of the dialogue's samples.</param>
/// <param name="Text">The response.</param>
/// <param name="LabelProbability">Of the judged label; null: there was no judge.</param>
/// <param name="RougeL">F-measure against the reference summary.</param>
/// <param name="Tokens">Length, the end-of-text token included.</param>
/// <param name="EndedByEos">Whether it ended by itself rather than at the length limit.</param>
/// <param name="SequenceKl">log π − log π_ref summed over the response: what KL from the reference it is one sample of.</param>
public sealed record EvaluatedSample(
    int Dialogue, int Sample, string Text, float? LabelProbability, double RougeL, int Tokens, bool EndedByEos, double SequenceKl);
