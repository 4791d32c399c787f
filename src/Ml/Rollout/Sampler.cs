using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using RlhfFunctions.Ml.Foundations;
using TorchSharp;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Rollout;

/// <summary>
/// Draws tokens by inverting the cumulative distribution at one uniform number per token. The uniform number is a hash of the
/// sample's key and the token's position, so what a sample becomes does not depend on which other samples share its batch.
/// </summary>
public static class Sampler
{
    private const int Lanes = 8;

    /// <summary>One token per row.</summary>
    /// <param name="logits">After temperature and all processors, −∞ where a token is forbidden. [b, V]</param>
    /// <param name="keys">Keys of the b samples.</param>
    /// <param name="position">Which response token is drawn.</param>
    /// <returns>Token ids. [b]</returns>
    public static Tensor Draw(Tensor logits, IReadOnlyList<ulong> keys, int position)
    {
        using var scope = NewDisposeScope();
        if (logits.device_type == DeviceType.CPU)
            return tensor(DrawEach(logits, keys, position)).MoveToOuterDisposeScope();
        return Draw(logits, Uniforms(keys, position, 1, logits.device)).MoveToOuterDisposeScope();
    }

    /// <summary>What decides some tokens of each sample, on a device. [b, count] float64</summary>
    internal static Tensor Uniforms(IReadOnlyList<ulong> keys, int first, int count, Device device) =>
        tensor(keys.SelectMany(key => Enumerable.Range(first, count).Select(position => Seeds.Uniform(key, position))).ToArray(), keys.Count, count, device: device);

    /// <summary>One token per row, decided by what is given. [b, V] and [b, 1] → [b]</summary>
    internal static Tensor Draw(Tensor logits, Tensor uniform)
    {
        using var scope = NewDisposeScope();
        var cumulative = nn.functional.softmax(logits, -1, float64).cumsum(-1); // [b, V]
        // The first entry above u: a token of probability zero does not rise above its predecessor and is never hit.
        var ids = searchsorted(cumulative, uniform * cumulative.narrow(1, -1, 1), right: true); // [b, 1]
        return ids.squeeze(1).clamp_(max: logits.shape[1] - 1).MoveToOuterDisposeScope();
    }

    /// <summary>The most probable token per row, the first one on ties. [b, V] → [b]</summary>
    public static Tensor Greedy(Tensor logits) => logits.argmax(-1);

    /// <summary>One token, and its log-probability.</summary>
    /// <param name="logits">[V], −∞ where a token is forbidden.</param>
    /// <param name="temperature">Divides them.</param>
    /// <param name="key">Key of the sample.</param>
    /// <param name="position">Which response token is drawn.</param>
    internal static (int Token, float LogProb) Draw(ReadOnlySpan<float> logits, double temperature, ulong key, int position)
    {
        var (largest, total) = Partition(logits, temperature);
        var target = Seeds.Uniform(key, position) * total;
        var (below, start) = (0.0, 0);
        for (; start + Lanes < logits.Length; start += Lanes)
        {
            var next = below + Vector512.Sum(Weights(logits[start..], largest, temperature));
            if (next > target)
                break;
            below = next;
        }
        // The first token that rises above u; one of probability zero does not. Rounding may leave none: then the last that can be.
        var token = start;
        for (var i = start; i < Math.Min(start + Lanes, logits.Length); i++)
        {
            var weight = Math.Exp((logits[i] - (double)largest) / temperature);
            if (weight == 0)
                continue;
            token = i;
            below += weight;
            if (below > target)
                break;
        }
        return (token, LogProb(logits[token], largest, total, temperature));
    }

    /// <summary>The most probable token, the first one on ties, and its log-probability.</summary>
    internal static (int Token, float LogProb) Greedy(ReadOnlySpan<float> logits, double temperature)
    {
        var (largest, total) = Partition(logits, temperature);
        var token = logits.IndexOf(largest);
        return (token, LogProb(largest, largest, total, temperature));
    }

    /// <summary>log softmax(logits / temperature) of one token.</summary>
    internal static float LogProb(ReadOnlySpan<float> logits, int token, double temperature)
    {
        var (largest, total) = Partition(logits, temperature);
        return LogProb(logits[token], largest, total, temperature);
    }

    private static float LogProb(float logit, float largest, double total, double temperature) =>
        (float)(((logit - (double)largest) / temperature) - Math.Log(total));

    /// <summary>The largest logit, and Σ exp((logit − largest) / temperature).</summary>
    private static (float Largest, double Total) Partition(ReadOnlySpan<float> logits, double temperature)
    {
        var largest = float.NegativeInfinity;
        var vectors = MemoryMarshal.Cast<float, Vector512<float>>(logits);
        if (vectors.Length > 0)
        {
            var tops = vectors[0];
            foreach (var vector in vectors)
                tops = Vector512.Max(tops, vector);
            for (var lane = 0; lane < Vector512<float>.Count; lane++)
                largest = Math.Max(largest, tops[lane]);
        }
        foreach (var logit in logits[(vectors.Length * Vector512<float>.Count)..])
            largest = Math.Max(largest, logit);
        var total = 0.0;
        for (var start = 0; start < logits.Length; start += Lanes)
            total += Vector512.Sum(Weights(logits[start..], largest, temperature));
        return (largest, total);
    }

    /// <summary>exp((logit − largest) / temperature) of the first eight; zero where there are fewer.</summary>
    private static Vector512<double> Weights(ReadOnlySpan<float> logits, float largest, double temperature)
    {
        if (logits.Length < Lanes)
        {
            Span<float> padded = stackalloc float[Lanes];
            padded.Fill(float.NegativeInfinity);
            logits.CopyTo(padded);
            return Weights(padded, largest, temperature);
        }
        var (lower, upper) = Vector256.Widen(Vector256.Create(logits));
        return Vector512.Exp((Vector512.Create(lower, upper) - Vector512.Create((double)largest)) / temperature);
    }

    private static long[] DrawEach(Tensor logits, IReadOnlyList<ulong> keys, int position)
    {
        using var scope = NewDisposeScope();
        var numbers = logits.to(float32).contiguous().data<float>().ToArray();
        var size = (int)logits.shape[1];
        return [.. keys.Select((key, i) => (long)Draw(numbers.AsSpan(i * size, size), 1, key, position).Token)];
    }
}
