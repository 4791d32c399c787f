namespace RlhfFunctions.Ml.Rollout;

/// <summary>Scores what a policy wrote. The rewards themselves lie in Rewards, which comes after this folder.</summary>
public interface ITextReward
{
    /// <summary>One score per response, in order.</summary>
    IReadOnlyList<TextScore> Score(IReadOnlyList<PromptedResponse> responses, CancellationToken cancellationToken);
}
