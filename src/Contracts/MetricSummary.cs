namespace RlhfFunctions.Contracts;

/// <summary>A metric over the held-out dialogues, with a 95 % interval.</summary>
/// <param name="Mean">Mean of the per-dialogue means.</param>
/// <param name="StandardDeviation">Unbiased standard deviation between dialogues.</param>
/// <param name="Low">Lower end of the 95 % interval of the mean (seeded bootstrap by dialogue).</param>
/// <param name="High">Upper end of it.</param>
/// <param name="Count">Dialogues.</param>
public sealed record MetricSummary(double Mean, double StandardDeviation, double Low, double High, int Count);
