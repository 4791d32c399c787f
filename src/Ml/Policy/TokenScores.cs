using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Policy;

/// <summary>What a policy says of given responses; the tensors belong to the dispose scope they were made in.</summary>
/// <param name="LogProbs">log π of each response token at the sampling temperature. [B, R]</param>
/// <param name="Values">The value of the state before each response token; null of a policy without a value head. [B, R]</param>
/// <param name="Entropy">Of the distribution each token is drawn from, in nats, without a gradient. [B, R]</param>
public sealed record TokenScores(Tensor LogProbs, Tensor? Values, Tensor Entropy)
{
    /// <summary>R: tokens of the longest response.</summary>
    public long Length => LogProbs.shape[1];

    /// <summary>The scores at some places among those of other responses, which are zero. [B, R] → [rows, length]</summary>
    /// <param name="places">Of these responses.</param>
    /// <param name="rows">Of all responses.</param>
    /// <param name="length">Tokens of the longest of all.</param>
    public TokenScores Among(int[] places, long rows, long length)
    {
        var index = tensor(Array.ConvertAll(places, place => (long)place), device: LogProbs.device);
        return new(Place(LogProbs), Values is null ? null : Place(Values), Place(Entropy));

        Tensor Place(Tensor x) => zeros(rows, length, device: x.device).index_add(0, index, nn.functional.pad(x, [0, length - Length]), 1);
    }

    /// <summary>The scores of several, one under the other.</summary>
    public static TokenScores Joined(IReadOnlyList<TokenScores> parts)
    {
        var length = parts.Max(part => part.Length);
        return new(Cat(part => part.LogProbs), parts[0].Values is null ? null : Cat(part => part.Values!), Cat(part => part.Entropy));

        Tensor Cat(Func<TokenScores, Tensor> column) => cat([.. parts.Select(part => nn.functional.pad(column(part), [0, length - part.Length]))], 0);
    }

    /// <summary>What has a gradient: log-probabilities and, where there are any, values.</summary>
    internal Tensor[] Differentiable => Values is null ? [LogProbs] : [LogProbs, Values];

    /// <summary>The same numbers, of which a loss can be differentiated without what they came from.</summary>
    internal TokenScores Detached() =>
        new(LogProbs.detach().requires_grad_(), Values?.detach().requires_grad_(), Entropy.detach());

    /// <summary>Adds others to these, in place.</summary>
    internal void Add(TokenScores others)
    {
        LogProbs.add_(others.LogProbs);
        Values?.add_(others.Values!);
        Entropy.add_(others.Entropy);
    }
}
