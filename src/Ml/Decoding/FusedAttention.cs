using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace RlhfFunctions.Ml.Decoding;

/// <summary>Attention of one query over one head's cached keys and values.</summary>
internal static unsafe class FusedAttention
{
    private const int Lanes = 16;

    /// <summary>softmax(q·Kᵀ/√D)·V</summary>
    /// <param name="q">[D]</param>
    /// <param name="keys">[blocks, D, 16]</param>
    /// <param name="values">[positions, padded D]</param>
    /// <param name="length">Positions the query sees.</param>
    /// <param name="headSize">D.</param>
    /// <param name="weights">Room for the positions, in whole blocks.</param>
    /// <param name="output">[D]; overwritten.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Attend(float* q, float* keys, float* values, int length, int headSize, float* weights, float* output)
    {
        var sum = Weigh(q, keys, length, headSize, weights);
        var inverse = Vector512.Create(1 / sum);
        var padded = (headSize + Lanes - 1) / Lanes * Lanes;
        var last = stackalloc float[Lanes];
        for (var d = 0; d < padded; d += Lanes)
        {
            // Four sums, because one would wait for itself.
            Vector512<float> a = default, b = default, c = default, e = default;
            var v = values + d;
            var position = 0;
            for (; position + 4 <= length; position += 4, v += 4 * padded)
            {
                a = Vector512.FusedMultiplyAdd(Vector512.Create(weights[position]), Vector512.Load(v), a);
                b = Vector512.FusedMultiplyAdd(Vector512.Create(weights[position + 1]), Vector512.Load(v + padded), b);
                c = Vector512.FusedMultiplyAdd(Vector512.Create(weights[position + 2]), Vector512.Load(v + (2 * padded)), c);
                e = Vector512.FusedMultiplyAdd(Vector512.Create(weights[position + 3]), Vector512.Load(v + (3 * padded)), e);
            }
            for (; position < length; position++, v += padded)
                a = Vector512.FusedMultiplyAdd(Vector512.Create(weights[position]), Vector512.Load(v), a);
            var mean = (a + b + (c + e)) * inverse;
            if (d + Lanes <= headSize)
            {
                mean.Store(output + d);
                continue;
            }
            mean.Store(last);
            new ReadOnlySpan<float>(last, headSize - d).CopyTo(new Span<float>(output + d, headSize - d));
        }
    }

    /// <summary>Writes exp(score − largest score) of every position, zero behind the last; returns their sum.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Weigh(float* q, float* keys, int length, int headSize, float* weights)
    {
        var scale = 1 / MathF.Sqrt(headSize);
        var largest = Vector512.Create(float.NegativeInfinity);
        for (var position = 0; position < length; position += Lanes, keys += headSize * Lanes)
        {
            Vector512<float> even = default, odd = default;
            for (var d = 0; d < headSize; d += 2) // rotary positions need an even D
            {
                even = Vector512.FusedMultiplyAdd(Vector512.Create(q[d]), Vector512.Load(keys + (d * Lanes)), even);
                odd = Vector512.FusedMultiplyAdd(Vector512.Create(q[d + 1]), Vector512.Load(keys + ((d + 1) * Lanes)), odd);
            }
            var scores = (even + odd) * scale;
            if (position + Lanes > length)
            {
                var isSeen = Vector512.LessThan(Vector512<int>.Indices + Vector512.Create(position), Vector512.Create(length));
                scores = Vector512.ConditionalSelect(isSeen.AsSingle(), scores, Vector512.Create(float.NegativeInfinity));
            }
            largest = Vector512.Max(largest, scores);
            scores.Store(weights + position);
        }
        var top = float.NegativeInfinity;
        for (var lane = 0; lane < Lanes; lane++)
            top = MathF.Max(top, largest[lane]);
        var sums = Vector512<float>.Zero;
        for (var position = 0; position < length; position += Lanes)
        {
            var weight = Vector512.Exp(Vector512.Load(weights + position) - Vector512.Create(top));
            sums += weight;
            weight.Store(weights + position);
        }
        return Vector512.Sum(sums);
    }
}
