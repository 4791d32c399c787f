namespace RlhfFunctions.Ml.Rollout;

/// <summary>What a reward may look at.</summary>
/// <param name="Prompt">The prompt's tokens as text, special ones included.</param>
/// <param name="Response">The response as text, without special tokens.</param>
public readonly record struct PromptedResponse(string Prompt, string Response);
