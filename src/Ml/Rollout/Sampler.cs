using RlhfFunctions.Ml.Foundations;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Rollout;

/// <summary>
/// Draws tokens by inverting the cumulative distribution at one uniform number per token. The uniform number is a hash of the
/// sample's key and the token's position, so what a sample becomes does not depend on which other samples share its batch.
/// </summary>
public static class Sampler
{
    /// <summary>One token per row.</summary>
    /// <param name="logits">After temperature and all processors, −∞ where a token is forbidden. [b, V]</param>
    /// <param name="keys">Keys of the b samples.</param>
    /// <param name="position">Which response token is drawn.</param>
    /// <returns>Token ids. [b]</returns>
    public static Tensor Draw(Tensor logits, IReadOnlyList<ulong> keys, int position)
    {
        using var scope = NewDisposeScope();
        var cumulative = nn.functional.softmax(logits, -1, float64).cumsum(-1); // [b, V]
        var uniform = tensor(keys.Select(key => Seeds.Uniform(key, position)).ToArray(), keys.Count, 1, device: logits.device); // [b, 1]
        // The first entry above u: a token of probability zero does not rise above its predecessor and is never hit.
        var ids = searchsorted(cumulative, uniform * cumulative.narrow(1, -1, 1), right: true); // [b, 1]
        return ids.squeeze(1).clamp_(max: logits.shape[1] - 1).MoveToOuterDisposeScope();
    }

    /// <summary>The most probable token per row, the first one on ties. [b, V] → [b]</summary>
    public static Tensor Greedy(Tensor logits) => logits.argmax(-1);
}
