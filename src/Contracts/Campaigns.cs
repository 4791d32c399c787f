using System.ComponentModel.DataAnnotations;

namespace RlhfFunctions.Contracts;

/// <summary>What people are asked: pairs of responses by one policy, or by two, to dialogues of a file.</summary>
public sealed record CampaignRequest
{
    /// <summary>Names the campaign; null: one is made up.</summary>
    [RegularExpression(RunId.Pattern, ErrorMessage = RunId.Rule)]
    public string? CampaignId { get; init; }

    /// <summary>Every random draw derives from this.</summary>
    [Range(0, 9_007_199_254_740_991)]
    public long Seed { get; init; }

    /// <summary>The base model: a policy where no run is named for it.</summary>
    public required ModelSettings Model { get; init; }

    /// <summary>Finished runs whose policies write: none, the base writes both; one, the base against it; two, these.</summary>
    [MaxLength(2)]
    public IReadOnlyList<string> Runs { get; init; } = [];

    /// <summary>The file of dialogues.</summary>
    [RegularExpression(Source.Pattern, ErrorMessage = Source.Rule)]
    public required string Dialogues { get; init; }

    /// <summary>Where its fields are.</summary>
    public DialogueColumns Columns { get; init; } = new();

    /// <summary>The prompt; {dialogue} stands for the dialogue.</summary>
    [StringLength(100_000)]
    public string PromptTemplate { get; init; } = DataSettings.DefaultPromptTemplate;

    /// <summary>Dialogues outside these lengths are left out.</summary>
    [Range(0, int.MaxValue)]
    public int MinCharacters { get; init; } = 200;

    [Range(1, int.MaxValue)]
    public int MaxCharacters { get; init; } = 1024;

    /// <summary>Pairs, gold ones included.</summary>
    [Range(1, 100_000)]
    public int Pairs { get; init; } = 180;

    /// <summary>Share of the pairs whose answer is known: the dialogue's reference summary against another dialogue's.</summary>
    [Range(0.0, 0.5)]
    public double GoldShare { get; init; } = 0.1;

    /// <summary>Share of an annotator's pairs that he is shown again, sides swapped.</summary>
    [Range(0.0, 0.5)]
    public double RepeatShare { get; init; } = 0.1;

    /// <summary>Share of the pairs that two annotators judge; gold pairs are everybody's.</summary>
    [Range(0.0, 1.0)]
    public double Overlap { get; init; } = 0.2;

    /// <summary>A reward model: half of the pairs are drawn among those of which it is unsure. Null: all are drawn uniformly.</summary>
    [RegularExpression(Source.Pattern, ErrorMessage = Source.Rule)]
    public string? UncertainBy { get; init; }

    /// <summary>What annotators read beside the pairs.</summary>
    [StringLength(10_000)]
    public string Guidelines { get; init; } = "Which summary would you rather have read? It should tell what was said, and be civil about everyone.";

    /// <summary>Minutes for which a pair is kept for the annotator it was given to.</summary>
    [Range(1, 1440)]
    public int LeaseMinutes { get; init; } = 10;

    /// <summary>How responses of the base are sampled; a run's policy samples as it did in its run.</summary>
    public GenerationSettings Generation { get; init; } = new();

    /// <summary>Where they are computed.</summary>
    public ComputeSettings Compute { get; init; } = new();
}

/// <summary>A pair as it was generated.</summary>
/// <param name="Index">Its number in the campaign.</param>
/// <param name="DialogueId">The row's name in its file.</param>
/// <param name="Dialogue">The conversation.</param>
/// <param name="A">A response.</param>
/// <param name="B">Another one.</param>
/// <param name="PolicyA">Who wrote it: base, a run's id, or reference.</param>
/// <param name="PolicyB">Who wrote the other.</param>
/// <param name="Probability">With which the two were drawn among the dialogue's responses.</param>
public sealed record CampaignPair(int Index, string DialogueId, string Dialogue, string A, string B, string PolicyA, string PolicyB, double Probability)
{
    /// <summary>The right answer of a gold pair.</summary>
    public VoteChoice? Gold { get; init; }

    /// <summary>The very weights that wrote the two, and null of a reference: the base model's path, which names its content, and the adapter's SHA-256.</summary>
    public string? ModelA { get; init; }

    public string? ModelB { get; init; }
}

/// <summary>What an annotator says of the two responses as they were shown.</summary>
public enum ShownChoice
{
    First,
    Second,
    Tie,
    BothBad,
    Skip,
}

/// <summary>A vote, or the taking back of one, as an annotator's page sends it.</summary>
public sealed record VoteMessage
{
    /// <summary>Made up by the sender: the same id twice counts once.</summary>
    [RegularExpression("^[a-z0-9-]{8,64}$", ErrorMessage = "must be 8 to 64 lower-case letters, digits or dashes.")]
    public required string Id { get; init; }

    /// <summary>The vote that is taken back; then the other fields say nothing.</summary>
    public string? Undoes { get; init; }

    /// <summary>The pair's number.</summary>
    [Range(0, int.MaxValue)]
    public int Pair { get; init; }

    /// <summary>0: seen for the first time; 1: again.</summary>
    [Range(0, 1)]
    public int Round { get; init; }

    public ShownChoice Choice { get; init; }

    /// <summary>From showing to voting.</summary>
    [Range(0.0, 1e6)]
    public double Seconds { get; init; }

    /// <summary>Tags of why.</summary>
    [MaxLength(10)]
    public IReadOnlyList<string> Reasons { get; init; } = [];

    [StringLength(2000)]
    public string Comment { get; init; } = "";
}

/// <summary>Body of POST campaigns/{id}/votes.</summary>
public sealed record VotesMessage
{
    /// <summary>A pseudonym.</summary>
    [RegularExpression(RunId.Pattern, ErrorMessage = RunId.Rule)]
    public required string Annotator { get; init; }

    [MinLength(1)]
    [MaxLength(500)]
    public required IReadOnlyList<VoteMessage> Votes { get; init; }
}

/// <summary>A vote as it is kept; lines of it are only ever added.</summary>
/// <param name="Vote">What was sent.</param>
/// <param name="Annotator">Who.</param>
/// <param name="ShownFirst">Which response stood first.</param>
/// <param name="TextsSha256">Of dialogue and responses: what was judged.</param>
/// <param name="ReceivedAt">When.</param>
public sealed record VoteEvent(VoteMessage Vote, string Annotator, VoteChoice ShownFirst, string TextsSha256, DateTimeOffset ReceivedAt)
{
    /// <summary>Of the models that wrote the responses; null of a gold pair, which people wrote.</summary>
    public string? ModelsSha256 { get; init; }
}

/// <summary>A pair to judge, blind: nothing tells who wrote what, nor whether the answer is known.</summary>
public sealed record PairToJudge(int Pair, int Round, string Dialogue, string First, string Second);

/// <summary>Answer of GET campaigns/{id}/next.</summary>
/// <param name="Pairs">To judge, in this order; none: nothing is left for this annotator now.</param>
/// <param name="Votes">What the annotator has given.</param>
/// <param name="Wanted">About how many there are for him in all.</param>
public sealed record NextPairs(IReadOnlyList<PairToJudge> Pairs, int Votes, int Wanted);

/// <summary>Answer of GET campaigns/{id}.</summary>
public sealed record CampaignView(string CampaignId, string Status, int Pairs, int Votes, string? Failure, CampaignRequest Request);

/// <summary>State of the orchestration that generates a campaign's pairs.</summary>
public sealed record CampaignState(string CampaignId, string Base, int Pairs, string? UncertainBy);

/// <summary>Input of GeneratePairs.</summary>
/// <param name="CampaignId">The campaign.</param>
/// <param name="BaseModel">Its base model in Blob storage.</param>
/// <param name="Shard">Which part of the pairs.</param>
/// <param name="Reward">The reward model that is asked how sure it is, in Blob storage; null: none.</param>
public sealed record GeneratePairsInput(string CampaignId, string BaseModel, int Shard, string? Reward)
{
    /// <summary>Pairs of a shard.</summary>
    public const int ShardSize = 100;
}
