using System.ComponentModel.DataAnnotations;

namespace RlhfFunctions.Contracts;

/// <summary>What is made of a classifier's logits l; k is the rewarded label.</summary>
public enum ClassifierValue
{
    /// <summary>l_k.</summary>
    Logit,

    /// <summary>softmax(l)_k, from 0 to 1.</summary>
    Probability,

    /// <summary>l_k − log Σ_{j≠k} exp l_j: with two labels the difference of their logits.</summary>
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

    /// <summary>The label whose probability is reported as hate; a reward model of one label reports none.</summary>
    [MinLength(1)]
    public string HateLabel { get; init; } = "hate";

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
