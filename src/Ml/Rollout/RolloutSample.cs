namespace RlhfFunctions.Ml.Rollout;

/// <summary>One sampled response with everything the update needs to know about it; the lists have one entry per response token.</summary>
public sealed record RolloutSample
{
    /// <summary>The sample's place in the step's batch.</summary>
    public required int Index { get; init; }

    /// <summary>Token ids of the prompt.</summary>
    public required int[] Query { get; init; }

    /// <summary>Token ids of the response, with the end-of-text token if it got that far.</summary>
    public required int[] Response { get; init; }

    /// <summary>log π of the policy that sampled; empty of a preference.</summary>
    public required float[] LogProbs { get; init; }

    /// <summary>log π of the reference; empty where it was not asked.</summary>
    public required float[] ReferenceLogProbs { get; init; }

    /// <summary>The value of the state before each token; empty of a policy without a value head.</summary>
    public required float[] Values { get; init; }

    /// <summary>The penalty for leaving the reference, by the run's kind and without its coefficient; empty where the reference was not asked.</summary>
    public required float[] KlPenalties { get; init; }

    /// <summary>The response as text, without special tokens.</summary>
    public required string Text { get; init; }

    /// <summary>Whether it ended by itself, with an end-of-text token, rather than at the length limit.</summary>
    public required bool HasEnded { get; init; }

    /// <summary>The reward's raw score of the text.</summary>
    public required float Score { get; init; }

    /// <summary>What the reward's terms say by themselves, in their order; empty for a reward that is one by itself.</summary>
    public required float[] Terms { get; init; }

    /// <summary>The judged label's probability, as the reward's classifier sees it; null where no classifier tells it.</summary>
    public required float? LabelProbability { get; init; }

    /// <summary>Standard deviation of what the reward's ensemble says of the text; null of a reward that has none.</summary>
    public float? Disagreement { get; init; }
}
