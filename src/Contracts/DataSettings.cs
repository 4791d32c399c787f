using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;

namespace RlhfFunctions.Contracts;

/// <summary>The dialogues, and which of them become prompts. Defaults are the notebook's selection of DialogSum.</summary>
public sealed record DataSettings
{
    /// <summary>Dialogues the policy learns on: a CSV or JSONL file, or a folder on disk with train.csv or train.jsonl in it. Null for DPO.</summary>
    [RegularExpression(Source.Pattern, ErrorMessage = Source.Rule)]
    public string? Train { get; init; }

    /// <summary>
    /// Preferences that DPO learns from: a JSONL file of prompt, chosen and rejected, or campaign:ID, what that campaign's votes say at the
    /// time the run is asked for. Null for the other algorithms.
    /// </summary>
    [RegularExpression(PreferencesPattern, ErrorMessage = Source.Rule + " Preferences may also be \"campaign:ID\".")]
    public string? Preferences { get; init; }

    /// <summary>The campaign whose votes are learned from; null: none, or it is a file.</summary>
    [JsonIgnore]
    public string? PreferencesCampaign => Preferences?.StartsWith(Campaign, StringComparison.Ordinal) == true ? Preferences[Campaign.Length..] : null;

    /// <summary>Held-out dialogues with reference summaries: a file, or a folder with test.csv or test.jsonl in it.</summary>
    [RegularExpression(Source.Pattern, ErrorMessage = Source.Rule)]
    public required string Test { get; init; }

    /// <summary>Rows taken from the start of the training file, before the length filter.</summary>
    [Range(1, int.MaxValue)]
    public int TrainRows { get; init; } = 1000;

    /// <summary>Rows taken from the start of the test file, before the length filter.</summary>
    [Range(1, int.MaxValue)]
    public int TestRows { get; init; } = 100;

    /// <summary>A dialogue must be longer than this, in Unicode characters.</summary>
    [Range(0, int.MaxValue)]
    public int MinCharacters { get; init; } = 200;

    /// <summary>… and at most this long.</summary>
    [Range(1, int.MaxValue)]
    public int MaxCharacters { get; init; } = 1024;

    /// <summary>Which columns hold what, in both files.</summary>
    public DialogueColumns Columns { get; init; } = new();

    /// <summary>The prompt, with <c>{dialogue}</c> where the dialogue goes.</summary>
    [StringLength(100_000)]
    public string PromptTemplate { get; init; } = DefaultPromptTemplate;

    /// <summary>The prompt becomes a user's turn, written as the model's own chat template has it, and opened for the assistant's answer.</summary>
    public bool Chat { get; init; }

    /// <summary>With <see cref="Chat"/>: what the system's turn says. Null: as the chat template does without one.</summary>
    public string? SystemPrompt { get; init; }

    private const string Campaign = "campaign:";
    private const string PreferencesPattern = $"({Source.Pattern}|^campaign:[a-z0-9][a-z0-9-]{{0,62}}$)";

    internal const string DefaultPromptTemplate = "\nSummarize the following conversation.\n\n{dialogue}\n\nSummary:\n";
}
