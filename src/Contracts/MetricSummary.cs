namespace RlhfFunctions.Contracts;

/// <summary>A metric over held-out dialogues, with how sure it is.</summary>
/// <param name="Mean">The mean over dialogues, in the metric's own unit.</param>
/// <param name="StandardDeviation">The spread between dialogues (sample standard deviation, n − 1); 0 for a single dialogue.</param>
/// <param name="Low">Lower end of the mean's 95 % bootstrap interval.</param>
/// <param name="High">Upper end of the mean's 95 % bootstrap interval.</param>
/// <param name="Count">How many dialogues were measured.</param>
public sealed record MetricSummary(double Mean, double StandardDeviation, double Low, double High, int Count);
