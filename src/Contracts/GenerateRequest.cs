using System.ComponentModel.DataAnnotations;

namespace RlhfFunctions.Contracts;

/// <summary>The body of POST /api/generate: prompts or dialogues, and how to continue them.</summary>
public sealed record GenerateRequest
{
    /// <summary>Prompts, taken as they are; <see cref="Limits"/> says how many and how long.</summary>
    public IReadOnlyList<string>? Prompts { get; init; }

    /// <summary>Dialogues, put into the run's prompt template; bounded likewise.</summary>
    public IReadOnlyList<string>? Dialogues { get; init; }

    /// <summary>The finished run whose adapter writes; null: the one that adapters/latest points to, or else the base model alone.</summary>
    [RegularExpression(Contracts.RunId.Pattern, ErrorMessage = Contracts.RunId.Rule)]
    public string? RunId { get; init; }

    /// <summary>The checkpoint of that run, which need not have finished; null: its last.</summary>
    [Range(0, 1_000_000)]
    public int? Step { get; init; }

    /// <summary>The base model alone, without the adapter.</summary>
    public bool Base { get; init; }

    /// <summary>Texts for each prompt; all together no more than <see cref="Limits.Prompts"/>.</summary>
    [Range(1, 1024)]
    public int Samples { get; init; } = 1;

    /// <summary>Answers with server-sent events, a piece of text in each.</summary>
    public bool Stream { get; init; }

    /// <summary>The same seed and body get the same texts.</summary>
    [Range(0, 9_007_199_254_740_991)]
    public long Seed { get; init; }

    /// <summary>Tokens after which a text ends in any case; null: as in the run's rollouts.</summary>
    [Range(1, 100_000)]
    public int? MaxNewTokens { get; init; }

    /// <summary>Divides the logits; 0: always the most probable token; null: as in the run's rollouts.</summary>
    [Range(0.0, 100.0)]
    public double? Temperature { get; init; }
}

/// <summary>Which weights wrote a text.</summary>
public enum WrittenBy
{
    /// <summary>The base model, since no adapter has been published yet.</summary>
    Base,

    /// <summary>The base model with a run's adapter.</summary>
    Adapter,
}

/// <summary>The answer of POST /api/generate.</summary>
/// <param name="WrittenBy">Which weights.</param>
/// <param name="Model">The base model's source.</param>
/// <param name="RunId">The run whose adapter it was; null for the base model.</param>
/// <param name="Seed">The seed that was used.</param>
/// <param name="Texts">In the order of the prompts or dialogues; where several samples were asked for, those of one together.</param>
public sealed record GenerateAnswer(WrittenBy WrittenBy, string Model, string? RunId, long Seed, IReadOnlyList<GeneratedText> Texts);

/// <summary>One text.</summary>
/// <param name="Text">Without the prompt.</param>
/// <param name="Tokens">Its length, the end-of-text token included.</param>
/// <param name="EndedByEos">Whether it ended by itself rather than at the length limit.</param>
public sealed record GeneratedText(string Text, int Tokens, bool EndedByEos);

/// <summary>A piece of a text that is being written.</summary>
/// <param name="Index">Which text.</param>
/// <param name="Text">What is new of it.</param>
public sealed record TextPiece(int Index, string Text)
{
    /// <summary>With the last piece of a text: all of it.</summary>
    public GeneratedText? Whole { get; init; }
}

/// <summary>The body of POST /api/score: texts that a run's reward shall judge.</summary>
public sealed record ScoreRequest
{
    /// <summary>Responses; <see cref="Limits"/> says how many and how long.</summary>
    public required IReadOnlyList<string> Texts { get; init; }

    /// <summary>The prompt of each, for a reward that reads it; null: none.</summary>
    public IReadOnlyList<string>? Prompts { get; init; }

    /// <summary>What a human answered to each, for a reward that compares; null: not known.</summary>
    public IReadOnlyList<string>? References { get; init; }

    /// <summary>The finished run whose reward judges; null: that of the adapter that serves.</summary>
    [RegularExpression(Contracts.RunId.Pattern, ErrorMessage = Contracts.RunId.Rule)]
    public string? RunId { get; init; }
}

/// <summary>The answer of POST /api/score.</summary>
/// <param name="RunId">The run whose reward it was.</param>
/// <param name="Scores">One for each text, in their order.</param>
public sealed record ScoreAnswer(string RunId, IReadOnlyList<ScoredText> Scores);

/// <summary>What a reward says of a text.</summary>
/// <param name="Score">The weighted sum of its terms.</param>
/// <param name="LabelProbability">Of the judged label, by its first classifier that knows it; null where none does.</param>
/// <param name="Terms">Each term's own value, by its name.</param>
public sealed record ScoredText(double Score, double? LabelProbability, IReadOnlyDictionary<string, double> Terms);
