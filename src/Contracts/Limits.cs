using System.ComponentModel.DataAnnotations;

namespace RlhfFunctions.Contracts;

/// <summary>How much the app takes at once. Each is a setting, <c>RlhfLimits__…</c>; docs/operations.md lists them.</summary>
public sealed record Limits
{
    /// <summary>Bytes of a request's body; beyond: 413.</summary>
    [Range(1, int.MaxValue)]
    public int BodyBytes { get; init; } = 4 << 20;

    /// <summary>Seconds in which every address answers, or says 503; but for those that write, score or upload.</summary>
    [Range(1, 200)]
    public int AnswerSeconds { get; init; } = 8;

    /// <summary>Prompts or dialogues of one request for texts.</summary>
    [Range(1, 65_536)]
    public int Prompts { get; init; } = 256;

    /// <summary>Characters of one of them.</summary>
    [Range(1, int.MaxValue)]
    public int PromptCharacters { get; init; } = 100_000;

    /// <summary>Requests for texts that wait while one is written; beyond: 429.</summary>
    [Range(0, 65_536)]
    public int WaitingForTexts { get; init; } = 16;

    /// <summary>Runs that have not ended; beyond: 429.</summary>
    [Range(1, 1_000_000)]
    public int UnfinishedRuns { get; init; } = 200;

    /// <summary>Bytes of a file of dialogues.</summary>
    [Range(1, long.MaxValue)]
    public long DataBytes { get; init; } = 1L << 30;

    /// <summary>Rows read of it.</summary>
    [Range(1, int.MaxValue)]
    public int DataRows { get; init; } = 1_000_000;

    /// <summary>Bytes of one file of a model, of the hub or uploaded.</summary>
    [Range(1, long.MaxValue)]
    public long ModelFileBytes { get; init; } = 64L << 30;
}
