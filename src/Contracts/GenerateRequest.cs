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
/// <param name="Texts">One for each prompt or dialogue, in their order.</param>
public sealed record GenerateAnswer(WrittenBy WrittenBy, string Model, string? RunId, long Seed, IReadOnlyList<GeneratedText> Texts);

/// <summary>One text.</summary>
/// <param name="Text">Without the prompt.</param>
/// <param name="Tokens">Its length, the end-of-text token included.</param>
/// <param name="EndedByEos">Whether it ended by itself rather than at the length limit.</param>
public sealed record GeneratedText(string Text, int Tokens, bool EndedByEos);
