namespace RlhfFunctions.Contracts;

/// <summary>What a person says of a pair of responses.</summary>
public enum VoteChoice
{
    /// <summary>Response a is better.</summary>
    A,

    /// <summary>Response b is better.</summary>
    B,

    /// <summary>Both are as good.</summary>
    Tie,

    /// <summary>Neither will do: for learning a tie.</summary>
    BothBad,

    /// <summary>No opinion; counts for nothing.</summary>
    Skip,
}

/// <summary>One vote that counts.</summary>
/// <param name="Annotator">A pseudonym.</param>
/// <param name="PairId">The pair.</param>
/// <param name="PromptId">Its dialogue.</param>
/// <param name="Choice">By response, whatever side it stood on.</param>
/// <param name="ShownFirst">Which response stood on the left, or above.</param>
/// <param name="Seconds">From showing to voting.</param>
public sealed record CountedVote(string Annotator, string PairId, string PromptId, VoteChoice Choice, VoteChoice ShownFirst, double Seconds)
{
    /// <summary>Whether the annotator saw the pair for the second time, sides swapped.</summary>
    public bool IsRepeat { get; init; }

    /// <summary>The right answer of a gold pair; null: nobody knows.</summary>
    public VoteChoice? Gold { get; init; }

    /// <summary>Characters of response a less those of response b.</summary>
    public int LengthLead { get; init; }

    /// <summary>Which policies wrote the two responses.</summary>
    public string PolicyA { get; init; } = "";

    public string PolicyB { get; init; } = "";

    /// <summary>Whether one response is preferred.</summary>
    public bool IsDecided => Choice is VoteChoice.A or VoteChoice.B;
}

/// <summary>How well an annotator votes. Shares are null where there was nothing to count.</summary>
public sealed record AnnotatorStatistics
{
    public required string Annotator { get; init; }

    public required int Votes { get; init; }

    /// <summary>Share of gold pairs answered rightly.</summary>
    public double? GoldAccuracy { get; init; }

    public required int GoldVotes { get; init; }

    /// <summary>Share of swapped repeats answered as the first time.</summary>
    public double? Consistency { get; init; }

    public required int Repeats { get; init; }

    /// <summary>Share of decided votes for what was shown first; ½ is fair.</summary>
    public double? FirstShare { get; init; }

    /// <summary>Share of decided votes for the longer response; gold and equal lengths left out.</summary>
    public double? LongerShare { get; init; }

    public required double MedianSeconds { get; init; }
}

/// <summary>A policy's Bradley–Terry score, in natural log-odds, with its 95 % interval by prompt; the scores' mean is zero.</summary>
public sealed record PolicyScore(string Policy, double Score, double Low, double High);

/// <summary>How often a policy's response was preferred to another's, over the votes that preferred one, with the 95 % interval by dialogue.</summary>
/// <param name="Policy">A run's id, or base.</param>
/// <param name="Against">The other one.</param>
/// <param name="Mean">Share of the decided votes, from 0 to 1.</param>
/// <param name="Low">The interval's lower end.</param>
/// <param name="High">Its upper end.</param>
/// <param name="Decided">Votes that preferred one.</param>
/// <param name="Ties">Votes that preferred neither, not counted in the share.</param>
public sealed record WinRate(string Policy, string Against, double Mean, double Low, double High, int Decided, int Ties);

/// <summary>What a campaign's votes are worth and what they say of the policies.</summary>
public sealed record VoteStatistics
{
    public required int Votes { get; init; }

    public required int Decided { get; init; }

    /// <summary>
    /// Krippendorff's α over pairs that several annotators judged; of a single annotator with himself, where he saw pairs again. Null:
    /// nothing was judged twice, or all said the same.
    /// </summary>
    public double? Agreement { get; init; }

    public required IReadOnlyList<AnnotatorStatistics> Annotators { get; init; }

    public required IReadOnlyList<PolicyScore> Policies { get; init; }

    /// <summary>Of every policy against every other one that it met in a decided vote.</summary>
    public required IReadOnlyList<WinRate> WinRates { get; init; }
}
