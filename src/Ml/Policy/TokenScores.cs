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

    /// <summary>The scores with room for those of other responses around them, zeros. [B, R] → [above + B + below, length]</summary>
    /// <param name="above">Responses before these.</param>
    /// <param name="below">Responses behind them.</param>
    /// <param name="length">Tokens of the longest of all.</param>
    public TokenScores Among(int above, int below, long length)
    {
        return new(Pad(LogProbs), Values is null ? null : Pad(Values), Pad(Entropy));

        Tensor Pad(Tensor x) => nn.functional.pad(x, [0, length - Length, above, below]);
    }

    /// <summary>The scores of several, one under the other.</summary>
    public static TokenScores Joined(IReadOnlyList<TokenScores> parts)
    {
        var length = parts.Max(part => part.Length);
        var padded = parts.Select(part => part.Among(0, 0, length)).ToArray();
        return new(Cat(part => part.LogProbs), padded[0].Values is null ? null : Cat(part => part.Values!), Cat(part => part.Entropy));

        Tensor Cat(Func<TokenScores, Tensor> column) => cat([.. padded.Select(column)], 0);
    }
}
