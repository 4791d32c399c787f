namespace RlhfFunctions.Ml.Rollout;

/// <summary>What a reward may look at, as text.</summary>
/// <param name="Prompt">The prompt, its special tokens spelled out.</param>
/// <param name="Response">The response without special tokens.</param>
/// <param name="ResponseVerbatim">The response with its special tokens, such as the end of text, spelled out.</param>
public readonly record struct PromptedResponse(string Prompt, string Response, string ResponseVerbatim)
{
    /// <summary>A response by itself.</summary>
    public static PromptedResponse Alone(string response) => new("", response, response);
}
