using RlhfFunctions.Samples.Make.Dialogues;

namespace RlhfFunctions.Samples.Make.Classifiers;

/// <summary>
/// What one classifier learns from (Books/*.json). Templates with word slots ({adj}, {noun}, {adv}) serve rude and civil
/// sentences alike; those of <see cref="Plain"/> are civil whatever they complain about. The two books share no template
/// and no rude word.
/// </summary>
public sealed record SentenceBook
{
    /// <summary>People besides those of the dialogues.</summary>
    public required IReadOnlyList<string> Names { get; init; }

    /// <summary>Rude words besides the half of the lexicon that belongs to this classifier.</summary>
    public required WordSet Rude { get; init; }

    public required WordSet Civil { get; init; }
    public required IReadOnlyList<string> Things { get; init; }
    public required IReadOnlyList<string> Qualities { get; init; }

    /// <summary>Clauses that begin with {X}: the first half of a story. Empty where the summary grammar tells the stories.</summary>
    public required IReadOnlyList<string> Scenes { get; init; }

    /// <summary>Clauses that begin with {Y}: the second half.</summary>
    public required IReadOnlyList<string> Endings { get; init; }

    public required IReadOnlyList<string> Mentions { get; init; }
    public required IReadOnlyList<string> Closings { get; init; }
    public required IReadOnlyList<string> Remarks { get; init; }
    public required IReadOnlyList<string> Plain { get; init; }

    /// <summary>Never trained on: they show whether the classifier knows words or has learned sentences by heart.</summary>
    public required IReadOnlyList<string> HeldOutRemarks { get; init; }

    public required IReadOnlyList<string> HeldOutPlain { get; init; }

    public static SentenceBook Reward { get; } = Resources.Read<SentenceBook>("Books/reward.json");

    public static SentenceBook Judge { get; } = Resources.Read<SentenceBook>("Books/judge.json");

    public IEnumerable<string> AllTemplates =>
        [.. Scenes, .. Endings, .. Mentions, .. Closings, .. Remarks, .. Plain, .. HeldOutRemarks, .. HeldOutPlain];
}
