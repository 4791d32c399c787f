namespace RlhfFunctions.Ml.Rollout;

/// <summary>What a reward says of a text.</summary>
/// <param name="Score">What the policy is trained to raise.</param>
/// <param name="HateProbability">Reported beside it.</param>
public readonly record struct TextScore(float Score, float HateProbability);
