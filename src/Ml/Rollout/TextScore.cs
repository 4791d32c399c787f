namespace RlhfFunctions.Ml.Rollout;

/// <summary>What a reward says of a text.</summary>
/// <param name="Score">What the policy is trained to raise.</param>
/// <param name="HateProbability">Reported beside it; null where no classifier looked.</param>
/// <param name="Terms">What the terms of a composed reward say by themselves, in their order; null of a reward that is one by itself.</param>
public readonly record struct TextScore(float Score, float? HateProbability = null, float[]? Terms = null);
