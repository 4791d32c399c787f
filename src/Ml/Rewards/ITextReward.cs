namespace RlhfFunctions.Ml.Rewards;

/// <summary>Scores what a policy wrote.</summary>
public interface ITextReward
{
    /// <summary>One score per response, in order.</summary>
    IReadOnlyList<TextScore> Score(IReadOnlyList<PromptedResponse> responses, CancellationToken cancellationToken);
}

/// <summary>What a reward may look at, as text.</summary>
/// <param name="Prompt">The prompt, its special tokens spelled out.</param>
/// <param name="Response">The response without special tokens.</param>
/// <param name="ResponseVerbatim">The response with its special tokens, such as the end of text, spelled out.</param>
/// <param name="Reference">What a human answered; null where that is not known.</param>
public readonly record struct PromptedResponse(string Prompt, string Response, string ResponseVerbatim, string? Reference = null)
{
    /// <summary>A response by itself.</summary>
    public static PromptedResponse Alone(string response) => new("", response, response);
}

/// <summary>What a reward says of a text.</summary>
/// <param name="Score">What the policy is trained to raise.</param>
/// <param name="LabelProbability">Of the judged label, reported beside it; null where no classifier tells it.</param>
/// <param name="Terms">What the terms of a composed reward say by themselves, in their order; null of a reward that is one by itself.</param>
/// <param name="Disagreement">Standard deviation of what an ensemble's members say; null of a reward that has none.</param>
public readonly record struct TextScore(float Score, float? LabelProbability = null, float[]? Terms = null, float? Disagreement = null);
