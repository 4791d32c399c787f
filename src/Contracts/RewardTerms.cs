using System.ComponentModel.DataAnnotations;
using System.Text.Json;

namespace RlhfFunctions.Contracts;

/// <summary>What is made of a classifier's logits l; k is the rewarded label.</summary>
public enum ClassifierValue
{
    /// <summary>l_k.</summary>
    Logit,

    /// <summary>softmax(l)_k, or σ(l_k) where several labels may hold at once; from 0 to 1.</summary>
    Probability,

    /// <summary>l_k − log Σ_{j≠k} exp l_j: with two labels the difference of their logits; l_k where several labels may hold at once.</summary>
    Difference,
}

/// <summary>What a classifier reads.</summary>
public enum ClassifierText
{
    /// <summary>The response alone.</summary>
    Response,

    /// <summary>
    /// The prompt with the response behind it, special tokens spelled out, as the original notebook scores them; what is too long loses
    /// the prompt's beginning, never the response.
    /// </summary>
    QueryAndResponse,
}

/// <summary>What a classifier or reward model, RoBERTa or Llama, says of the response; a text that is empty or broken gets its worst value.</summary>
public sealed record ClassifierTerm : RewardTerm
{
    public const string Kind = "classifier";

    public ClassifierTerm()
        : base(Kind, weight: 1)
    {
    }

    /// <summary>The classifier's Hugging Face folder.</summary>
    [RegularExpression(Contracts.Source.Pattern, ErrorMessage = Contracts.Source.Rule)]
    public required string Source { get; init; }

    /// <summary>The rewarded label, picked by name, never by rank.</summary>
    [MinLength(1)]
    public string Label { get; init; } = "nothate";

    /// <summary>What this classifier calls the judged label, whose probability is reported; null: as evaluation.label, where it has such a label.</summary>
    [MinLength(1)]
    public string? JudgedLabel { get; init; }

    /// <summary>What is made of its logits.</summary>
    public ClassifierValue Value { get; init; } = ClassifierValue.Logit;

    /// <summary>Whether a reward model may steer the run that its own report says is no better than chance or than brevity.</summary>
    public bool AcceptWeak { get; init; }

    /// <summary>What it reads.</summary>
    public ClassifierText Text { get; init; } = ClassifierText.Response;
}

/// <summary>The share of a response's words that are on a list, from 0 to 1.</summary>
public sealed record WordsTerm : RewardTerm
{
    public const string Kind = "words";

    public WordsTerm()
        : base(Kind, weight: -1)
    {
    }

    /// <summary>Words and phrases, found as whole words and whatever their case.</summary>
    [MinLength(1)]
    public required IReadOnlyList<string> Words { get; init; }
}

/// <summary>How far a response's length lies outside a range, divided by the range's upper end; 0 inside.</summary>
public sealed record LengthTerm : RewardTerm
{
    public const string Kind = "length";

    public LengthTerm()
        : base(Kind, weight: -1)
    {
    }

    /// <summary>The fewest words a response should have.</summary>
    [Range(0, 100_000)]
    public int MinWords { get; init; } = 1;

    /// <summary>The most words it should have.</summary>
    [Range(1, 100_000)]
    public required int MaxWords { get; init; }
}

/// <summary>The share of a response's n-grams of words that occurred in it before, from 0 to 1.</summary>
public sealed record RepetitionTerm : RewardTerm
{
    public const string Kind = "repetition";

    public RepetitionTerm()
        : base(Kind, weight: -1)
    {
    }

    /// <summary>Words in an n-gram.</summary>
    [Range(1, 100)]
    public int NGram { get; init; } = 3;
}

/// <summary>1 of a response that a pattern matches somewhere, 0 of any other.</summary>
public sealed record RegexTerm : RewardTerm
{
    public const string Kind = "regex";

    public RegexTerm()
        : base(Kind, weight: 1)
    {
    }

    /// <summary>A .NET pattern without look-around and back references, so that the longest match takes no longer than its text is long.</summary>
    [MinLength(1)]
    public required string Pattern { get; init; }
}

/// <summary>1 of a response that as a whole is JSON and fits a schema, 0 of any other.</summary>
public sealed record JsonSchemaTerm : RewardTerm
{
    public const string Kind = "json-schema";

    public JsonSchemaTerm()
        : base(Kind, weight: 1)
    {
    }

    /// <summary>The JSON schema itself.</summary>
    public required JsonElement Schema { get; init; }
}

/// <summary>Which words ROUGE compares.</summary>
public enum RougeVariant
{
    /// <summary>Single words.</summary>
    Rouge1,

    /// <summary>Pairs of neighbouring words.</summary>
    Rouge2,

    /// <summary>The longest common subsequence of words.</summary>
    RougeL,
}

/// <summary>How a response overlaps with its dialogue's reference summary: ROUGE's F measure, from 0 to 1.</summary>
public sealed record RougeTerm : RewardTerm
{
    public const string Kind = "rouge";

    public RougeTerm()
        : base(Kind, weight: 1)
    {
    }

    /// <summary>Which words are compared.</summary>
    public RougeVariant Variant { get; init; } = RougeVariant.RougeL;
}

/// <summary>
/// What a service of the user's says: it is sent { "items": [{ "prompt", "response", "reference" }] } and answers { "scores": [ … ] }. Its
/// host must be allowed by the app's setting RlhfRewardHosts.
/// </summary>
public sealed record HttpTerm : RewardTerm
{
    public const string Kind = "http";

    public HttpTerm()
        : base(Kind, weight: 1)
    {
    }

    /// <summary>Where the responses are posted.</summary>
    [RegularExpression("^https?://[^\\s]+$", ErrorMessage = "must be an address that begins with http:// or https://.")]
    public required string Url { get; init; }

    /// <summary>Responses sent at a time.</summary>
    [Range(1, 1024)]
    public int BatchSize { get; init; } = 64;

    /// <summary>Seconds that one answer may take.</summary>
    [Range(0.1, 600.0)]
    public double TimeoutSeconds { get; init; } = 30;

    /// <summary>How often a request that failed is sent again, ever later.</summary>
    [Range(0, 10)]
    public int Retries { get; init; } = 3;
}

/// <summary>How the values of an ensemble become one.</summary>
public enum EnsembleValue
{
    /// <summary>Their mean.</summary>
    Mean,

    /// <summary>The lowest of them.</summary>
    Minimum,

    /// <summary>Mean − k · standard deviation (Coste et al., arXiv:2310.02743, with n − 1).</summary>
    MeanLessDeviation,
}

/// <summary>What several classifiers say together: what only one of them likes pays less.</summary>
public sealed record EnsembleTerm : RewardTerm
{
    public const string Kind = "ensemble";

    public EnsembleTerm()
        : base(Kind, weight: 1)
    {
    }

    /// <summary>Its members, at least two; their names and weights mean nothing here.</summary>
    [MinLength(2)]
    public required IReadOnlyList<ClassifierTerm> Members { get; init; }

    /// <summary>How their values become one.</summary>
    public EnsembleValue Combine { get; init; } = EnsembleValue.Mean;

    /// <summary>k, for <see cref="EnsembleValue.MeanLessDeviation"/>.</summary>
    [Range(0.0, 1e3)]
    public double Deviations { get; init; } = 1;
}
