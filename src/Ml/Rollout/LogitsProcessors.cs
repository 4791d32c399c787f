using RlhfFunctions.Contracts;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Rollout;

/// <summary>
/// Restrictions on what may be generated, in transformers' order and with its edge cases. They change the distribution, so
/// that rollouts sample what is not scored: a request must accept that. Unlike in transformers, padding counts neither as a seen
/// token nor as length, so that a prompt gets in a batch what it gets alone.
/// </summary>
public sealed record LogitsProcessors
{
    /// <summary>No restriction at all.</summary>
    public static LogitsProcessors None { get; } = new();

    /// <summary>What a request restricts.</summary>
    public static LogitsProcessors Of(GenerationSettings settings) => new()
    {
        RepetitionPenalty = settings.RepetitionPenalty,
        MinNewTokens = settings.MinNewTokens,
        TopK = settings.TopK,
        TopP = settings.TopP,
    };

    /// <summary>Divides positive and multiplies negative logits of tokens that occur in prompt or response; 1: off.</summary>
    public double RepetitionPenalty { get; init; } = 1;

    /// <summary>Forbids tokens that would complete an n-gram that occurs already; 0: off.</summary>
    public int NoRepeatNgramSize { get; init; }

    /// <summary>Forbids the end of text while prompt and response together are shorter; 0: off.</summary>
    public int MinLength { get; init; }

    /// <summary>Forbids the end of text while the response is shorter; 0: off.</summary>
    public int MinNewTokens { get; init; }

    /// <summary>Keeps the k most probable tokens and all that tie with the last of them; 0: off.</summary>
    public int TopK { get; init; }

    /// <summary>Keeps the most probable tokens that together reach this probability; 1: off.</summary>
    public double TopP { get; init; } = 1;

    /// <summary>Keeps the tokens at least this often as probable as the most probable one; 0: off.</summary>
    public double MinP { get; init; }

    /// <summary>What applies to greedy choice and sampling alike: repetition, n-grams, minimum lengths.</summary>
    /// <param name="logits">[b, V]; not changed.</param>
    /// <param name="sequences">Prompt and response so far of each of the b rows.</param>
    /// <param name="newTokens">Tokens in each response so far.</param>
    /// <param name="endOfText">Ids that end a response.</param>
    /// <returns>[b, V]</returns>
    public Tensor Process(Tensor logits, IReadOnlyList<IReadOnlyList<int>> sequences, int newTokens, IReadOnlySet<int> endOfText)
    {
        if (RepetitionPenalty == 1 && NoRepeatNgramSize == 0 && MinLength == 0 && MinNewTokens == 0)
            return logits;
        using var scope = NewDisposeScope();
        var processed = logits.clone(); // [b, V]
        for (var i = 0; i < sequences.Count; i++)
        {
            var (row, sequence) = (processed[i], sequences[i]); // row: [V]
            if (RepetitionPenalty != 1)
            {
                var seen = Ids(sequence.Distinct()); // [n]
                var old = row.index_select(0, seen); // [n]
                row.index_copy_(0, seen, where(old.lt(0), old * RepetitionPenalty, old / RepetitionPenalty));
            }
            if (NoRepeatNgramSize > 0 && CompletionsOfSeenNgrams(sequence) is { Count: > 0 } completions)
                row.index_fill_(0, Ids(completions), double.NegativeInfinity);
            if (endOfText.Count > 0 && (sequence.Count < MinLength || newTokens < MinNewTokens))
                row.index_fill_(0, Ids(endOfText), double.NegativeInfinity);
        }
        return processed.MoveToOuterDisposeScope();

        Tensor Ids(IEnumerable<int> ids) => tensor(ids.Select(id => (long)id).ToArray(), device: logits.device);
    }

    /// <summary>What applies to sampling only: temperature, then the cuts. [b, V] → [b, V], −∞ where a token is cut.</summary>
    public Tensor Warp(Tensor logits, double temperature)
    {
        using var scope = NewDisposeScope();
        var warped = temperature == 1 ? logits.alias() : logits / temperature; // [b, V]
        if (TopK > 0 && TopK < warped.shape[1])
        {
            var least = warped.topk(TopK).values.narrow(1, TopK - 1, 1); // [b, 1]
            warped = warped.masked_fill(warped.lt(least), double.NegativeInfinity); // [b, V]
        }
        if (TopP < 1)
        {
            var (ascending, order) = warped.sort(-1); // [b, V]
            var isCut = nn.functional.softmax(ascending, -1).cumsum(-1).le(1 - TopP); // [b, V]
            isCut.narrow(1, -1, 1).fill_(false);
            warped = warped.masked_fill(isCut.scatter(1, order, isCut), double.NegativeInfinity); // [b, V]
        }
        if (MinP > 0)
        {
            var probabilities = nn.functional.softmax(warped, -1); // [b, V]
            var isCut = probabilities.lt(MinP * probabilities.amax([1], keepdim: true)); // [b, V]
            warped = warped.masked_fill(isCut, double.NegativeInfinity); // [b, V]
        }
        return warped.MoveToOuterDisposeScope();
    }

    private List<int> CompletionsOfSeenNgrams(IReadOnlyList<int> sequence)
    {
        var completions = new List<int>();
        var prefix = NoRepeatNgramSize - 1;
        for (var start = 0; start + prefix < sequence.Count; start++)
        {
            var isSame = true;
            for (var i = 0; i < prefix && isSame; i++)
                isSame = sequence[start + i] == sequence[sequence.Count - prefix + i];
            if (isSame)
                completions.Add(sequence[start + prefix]);
        }
        return completions;
    }
}
