namespace RlhfFunctions.Ml.Preferences;

/// <summary>Two responses to one prompt, and what was said of them.</summary>
/// <param name="PromptId">Names the prompt: comparisons of one prompt resemble each other.</param>
/// <param name="First">Token ids as the reward model reads them.</param>
/// <param name="Second">Of the other.</param>
/// <param name="FirstWins">1: the first is better, 0: the second, ½: a tie.</param>
/// <param name="Margin">By how much the better one should at least lead, in units of the score.</param>
public sealed record Comparison(string PromptId, int[] First, int[] Second, double FirstWins, double Margin = 0);
