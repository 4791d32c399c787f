using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Policy;

namespace RlhfFunctions.Ml.Rollout;

/// <summary>What is generated, and how.</summary>
internal sealed record GenerationJob
{
    /// <summary>Token ids; at least one prompt of at least one token.</summary>
    public required IReadOnlyList<int[]> Prompts { get; init; }

    /// <summary>One key per prompt; null: the most probable token is taken.</summary>
    public required IReadOnlyList<ulong>? SampleKeys { get; init; }

    public required GenerationSettings Settings { get; init; }

    public required LogitsProcessors Processors { get; init; }

    public required IReadOnlySet<int> EndOfText { get; init; }

    /// <summary>Tokens after which each response ends, at most the settings' MaxNewTokens; that where null.</summary>
    public IReadOnlyList<int>? Limits { get; init; }

    /// <summary>Told of each token as it is chosen: the prompt's place and the token's id.</summary>
    public Action<int, int>? OnToken { get; init; }

    /// <summary>Values the state before each token; null: nobody asks.</summary>
    public ValueHead? ValueHead { get; init; }

    public int Limit(int row) => Limits?[row] ?? Settings.MaxNewTokens;
}
