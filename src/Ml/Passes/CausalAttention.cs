using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using RlhfFunctions.Ml.Foundations;

namespace RlhfFunctions.Ml.Passes;

/// <summary>The sizes of an attention.</summary>
/// <param name="Batch">B.</param>
/// <param name="Queries">R: of each sequence.</param>
/// <param name="Length">T: keys of each sequence.</param>
/// <param name="Heads">Of the queries.</param>
/// <param name="KeyValueHeads">Of keys and values; each serves as many heads of the queries.</param>
/// <param name="HeadSize">D, in whole thirty-twos.</param>
internal readonly record struct AttentionShape(int Batch, int Queries, int Length, int Heads, int KeyValueHeads, int HeadSize)
{
    /// <summary>Query heads that a key head serves.</summary>
    public int Group => Heads / KeyValueHeads;
}

/// <summary>
/// softmax(q·Kᵀ/√D)·V of whole sequences, forth and back, in float32; nothing of the size [R, T] outlives four rows of it (Dao et al.,
/// arXiv:2205.14135). Every sum is taken in one order, whatever the threads.
/// </summary>
/// <typeparam name="T">One number of a hidden state.</typeparam>
/// <typeparam name="TNumbers">How it is held.</typeparam>
internal static unsafe class CausalAttention<T, TNumbers>
    where T : unmanaged
    where TNumbers : INumbers<T>
{
    private const int Lanes = 16;

    // Queries side by side, and keys: four times two running sums keep two multipliers busy.
    private const int Rows = 4;
    private const int Wide = 2 * Lanes;

    // What one thread does at least: less is not worth waking another for.
    private const long ProductsPerTask = 1 << 18;

    /// <summary>The mean of the values that each query sees.</summary>
    /// <param name="q">[B, R, heads, D]</param>
    /// <param name="k">[B, T, KV heads, D]</param>
    /// <param name="v">[B, T, KV heads, D]</param>
    /// <param name="positions">Of each query, which sees the keys up to there. [B, R]</param>
    /// <param name="shape">The sizes.</param>
    /// <param name="output">[B, R, heads, D]; overwritten.</param>
    /// <param name="logSums">log Σ exp(score) of each query. [B, heads, R]; overwritten.</param>
    public static void Forward(T* q, T* k, T* v, int* positions, AttentionShape shape, T* output, float* logSums) =>
        ForEachKeyHead(shape, (sequence, head, room) =>
        {
            var (size, padded) = (shape.HeadSize, Padded(shape.Length));
            var keys = room.Take(size * padded);
            var values = room.Take(padded * size);
            float* asking = room.Take(Rows * size), scores = room.Take(Rows * padded), means = room.Take(Rows * size);
            Transpose(k, sequence, head, shape, keys);
            Copy(v, sequence, head, shape, values);
            var scale = Vector512.Create(1 / MathF.Sqrt(size));
            var inverses = stackalloc float[Rows];
            for (var h = head * shape.Group; h < (head + 1) * shape.Group; h++)
                for (var first = 0; first < shape.Queries; first += Rows)
                {
                    var count = Math.Min(Rows, shape.Queries - first);
                    var seen = positions + ((long)sequence * shape.Queries) + first;
                    var limit = Limit(seen, count);
                    var place = QueryPlace(sequence, first, h, shape);
                    Load(q + place, count, shape, scale, asking);
                    Multiply(asking, size, size, keys, padded, limit, scores);
                    for (var row = 0; row < count; row++)
                    {
                        var (largest, sum) = Weigh(scores + (row * padded), seen[row] + 1, limit);
                        inverses[row] = 1 / sum;
                        logSums[((((long)sequence * shape.Heads) + h) * shape.Queries) + first + row] = largest + MathF.Log(sum);
                    }
                    Multiply(scores, padded, limit, values, size, size, means);
                    for (var row = 0; row < count; row++)
                        Store(means + (row * size), Vector512.Create(inverses[row]), size, output + place + ((long)row * shape.Heads * size));
                }
        });

    /// <summary>The way back.</summary>
    /// <param name="q">As forth, like all that <see cref="Forward"/> was given and gave.</param>
    /// <param name="k">As forth.</param>
    /// <param name="v">As forth.</param>
    /// <param name="positions">As forth.</param>
    /// <param name="shape">As forth.</param>
    /// <param name="output">As it came out.</param>
    /// <param name="logSums">As they came out.</param>
    /// <param name="doutput">[B, R, heads, D]</param>
    /// <param name="dq">[B, R, heads, D]; overwritten.</param>
    /// <param name="dk">[B, T, KV heads, D]; overwritten.</param>
    /// <param name="dv">[B, T, KV heads, D]; overwritten.</param>
    public static void Backward(
        T* q, T* k, T* v, int* positions, AttentionShape shape, T* output, float* logSums, T* doutput, T* dq, T* dk, T* dv) =>
        ForEachKeyHead(shape, (sequence, head, room) =>
        {
            var (size, padded) = (shape.HeadSize, Padded(shape.Length));
            float* keysAcross = room.Take(size * padded), valuesAcross = room.Take(size * padded), keys = room.Take(padded * size);
            float* dkeys = room.Take(padded * size), dvalues = room.Take(padded * size);
            float* asking = room.Take(Rows * size), dmeans = room.Take(Rows * size), turned = room.Take(Rows * size);
            float* weights = room.Take(Rows * padded), dscores = room.Take(Rows * padded);
            Transpose(k, sequence, head, shape, keysAcross);
            Transpose(v, sequence, head, shape, valuesAcross);
            Copy(k, sequence, head, shape, keys);
            new Span<float>(dkeys, padded * size).Clear();
            new Span<float>(dvalues, padded * size).Clear();
            var scale = Vector512.Create(1 / MathF.Sqrt(size));
            for (var h = head * shape.Group; h < (head + 1) * shape.Group; h++)
                for (var first = 0; first < shape.Queries; first += Rows)
                {
                    var count = Math.Min(Rows, shape.Queries - first);
                    var seen = positions + ((long)sequence * shape.Queries) + first;
                    var limit = Limit(seen, count);
                    var place = QueryPlace(sequence, first, h, shape);
                    Load(q + place, count, shape, scale, asking);
                    Load(doutput + place, count, shape, Vector512<float>.One, dmeans);
                    Multiply(asking, size, size, keysAcross, padded, limit, weights);
                    Multiply(dmeans, size, size, valuesAcross, padded, limit, dscores);
                    for (var row = 0; row < Rows; row++)
                    {
                        float* weight = weights + (row * padded), dscore = dscores + (row * padded);
                        if (row >= count)
                        {
                            new Span<float>(weight, limit).Clear();
                            new Span<float>(dscore, limit).Clear();
                            continue;
                        }
                        var logSum = logSums[((((long)sequence * shape.Heads) + h) * shape.Queries) + first + row];
                        var common = Dot(dmeans + (row * size), output + place + ((long)row * shape.Heads * size), size);
                        WeighBack(weight, dscore, logSum, common, seen[row] + 1, limit);
                    }
                    Multiply(dscores, padded, limit, keys, size, size, turned);
                    for (var row = 0; row < count; row++)
                        Store(turned + (row * size), scale, size, dq + place + ((long)row * shape.Heads * size));
                    Spread(weights, padded, dmeans, size, limit, dvalues);
                    Spread(dscores, padded, asking, size, limit, dkeys);
                }
            for (var t = 0; t < shape.Length; t++)
            {
                var place = KeyPlace(sequence, t, head, shape);
                Store(dkeys + (t * size), Vector512<float>.One, size, dk + place);
                Store(dvalues + (t * size), Vector512<float>.One, size, dv + place);
            }
        });

    /// <summary>In whole pairs of sixteens.</summary>
    private static int Whole(int length) => (length + Wide - 1) / Wide * Wide;

    /// <summary>From one row of keys, or of scores, to the next: a power of two would put all rows into the same few places of the cache.</summary>
    private static int Padded(int length) => Whole(length) + Lanes;

    private static long QueryPlace(int sequence, int query, int head, AttentionShape shape) =>
        ((((long)sequence * shape.Queries) + query) * shape.Heads * shape.HeadSize) + ((long)head * shape.HeadSize);

    private static long KeyPlace(int sequence, int t, int head, AttentionShape shape) =>
        ((((long)sequence * shape.Length) + t) * shape.KeyValueHeads * shape.HeadSize) + ((long)head * shape.HeadSize);

    private static void ForEachKeyHead(AttentionShape shape, Action<int, int, Room> work)
    {
        var heads = shape.Batch * shape.KeyValueHeads;
        var products = (long)shape.Group * shape.Queries * shape.Length * shape.HeadSize;
        Threads.ForRanges(heads, (int)(ProductsPerTask / products) + 1, (first, end) =>
        {
            // Two matrices across, three along, and five of four rows: what the way back needs.
            using var room = new Room(Padded(shape.Length) * ((5L * shape.HeadSize) + (2 * Rows)) + (3L * Rows * shape.HeadSize) + (10 * Lanes));
            for (var head = first; head < end; head++)
            {
                room.Clear();
                work(head / shape.KeyValueHeads, head % shape.KeyValueHeads, room);
            }
        });
    }

    /// <summary>Keys that any of some queries sees, in whole pairs of sixteens.</summary>
    private static int Limit(int* positions, int count)
    {
        var last = 0;
        for (var row = 0; row < count; row++)
            last = Math.Max(last, positions[row]);
        return Whole(last + 1);
    }

    /// <summary>One head of a sequence's keys, lying across. [D, padded T], zero behind the last.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transpose(T* from, int sequence, int head, AttentionShape shape, float* to)
    {
        var (size, padded) = (shape.HeadSize, Padded(shape.Length));
        new Span<float>(to, size * padded).Clear();
        var numbers = stackalloc float[Lanes];
        for (var t = 0; t < shape.Length; t++)
        {
            var row = from + KeyPlace(sequence, t, head, shape);
            for (var d = 0; d < size; d += Lanes)
            {
                TNumbers.Load(row + d).Store(numbers);
                for (var lane = 0; lane < Lanes; lane++)
                    to[((d + lane) * padded) + t] = numbers[lane];
            }
        }
    }

    /// <summary>One head of a sequence's values. [whole T, D], zero behind the last.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Copy(T* from, int sequence, int head, AttentionShape shape, float* to)
    {
        var size = shape.HeadSize;
        for (var t = 0; t < shape.Length; t++)
        {
            var row = from + KeyPlace(sequence, t, head, shape);
            for (var d = 0; d < size; d += Lanes)
                TNumbers.Load(row + d).Store(to + (t * size) + d);
        }
        new Span<float>(to + (shape.Length * size), (Whole(shape.Length) - shape.Length) * size).Clear();
    }

    /// <summary>One head of up to four queries, the missing ones zero. [4, D]</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Load(T* from, int count, AttentionShape shape, Vector512<float> scale, float* to)
    {
        var size = shape.HeadSize;
        for (var row = 0; row < Rows; row++)
            for (var d = 0; d < size; d += Lanes)
                (row < count ? TNumbers.Load(from + ((long)row * shape.Heads * size) + d) * scale : default).Store(to + (row * size) + d);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Store(float* from, Vector512<float> scale, int size, T* to)
    {
        for (var d = 0; d < size; d += Lanes)
            TNumbers.Store(Vector512.Load(from + d) * scale, to + d);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Dot(float* x, T* y, int size)
    {
        var sum = Vector512<float>.Zero;
        for (var d = 0; d < size; d += Lanes)
            sum = Vector512.FusedMultiplyAdd(Vector512.Load(x + d), TNumbers.Load(y + d), sum);
        return Vector512.Sum(sum);
    }

    /// <summary>y = x·w. [4, k] × [k, n] → [4, n]</summary>
    /// <param name="x">Of queries: their heads, or their weights.</param>
    /// <param name="xStride">From one row of x to the next.</param>
    /// <param name="k">Columns of x.</param>
    /// <param name="w">Keys or values lying across, or along.</param>
    /// <param name="stride">From one row of w to the next, and of y.</param>
    /// <param name="n">Columns of w, in whole thirty-twos.</param>
    /// <param name="y">Overwritten.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Multiply(float* x, int xStride, int k, float* w, int stride, int n, float* y)
    {
        float* x1 = x + xStride, x2 = x1 + xStride, x3 = x2 + xStride;
        for (var column = 0; column < n; column += Wide)
        {
            Vector512<float> a0 = default, b0 = default, a1 = default, b1 = default, a2 = default, b2 = default, a3 = default, b3 = default;
            var row = w + column;
            for (var i = 0; i < k; i++, row += stride)
            {
                var (u, v) = (Vector512.Load(row), Vector512.Load(row + Lanes));
                var factor = Vector512.Create(x[i]);
                a0 = Vector512.FusedMultiplyAdd(factor, u, a0);
                b0 = Vector512.FusedMultiplyAdd(factor, v, b0);
                factor = Vector512.Create(x1[i]);
                a1 = Vector512.FusedMultiplyAdd(factor, u, a1);
                b1 = Vector512.FusedMultiplyAdd(factor, v, b1);
                factor = Vector512.Create(x2[i]);
                a2 = Vector512.FusedMultiplyAdd(factor, u, a2);
                b2 = Vector512.FusedMultiplyAdd(factor, v, b2);
                factor = Vector512.Create(x3[i]);
                a3 = Vector512.FusedMultiplyAdd(factor, u, a3);
                b3 = Vector512.FusedMultiplyAdd(factor, v, b3);
            }
            var to = y + column;
            a0.Store(to);
            b0.Store(to + Lanes);
            a1.Store(to + stride);
            b1.Store(to + stride + Lanes);
            a2.Store(to + (2 * stride));
            b2.Store(to + (2 * stride) + Lanes);
            a3.Store(to + (3 * stride));
            b3.Store(to + (3 * stride) + Lanes);
        }
    }

    /// <summary>y += weightsᵀ·x. [4, limit] and [4, D] → [limit, D]</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Spread(float* weights, int padded, float* x, int size, int limit, float* y)
    {
        float* w1 = weights + padded, w2 = w1 + padded, w3 = w2 + padded;
        for (var d = 0; d < size; d += Wide)
        {
            var (a0, b0) = (Vector512.Load(x + d), Vector512.Load(x + d + Lanes));
            var (a1, b1) = (Vector512.Load(x + size + d), Vector512.Load(x + size + d + Lanes));
            var (a2, b2) = (Vector512.Load(x + (2 * size) + d), Vector512.Load(x + (2 * size) + d + Lanes));
            var (a3, b3) = (Vector512.Load(x + (3 * size) + d), Vector512.Load(x + (3 * size) + d + Lanes));
            var row = y + d;
            for (var t = 0; t < limit; t++, row += size)
            {
                var w = Vector512.Create(weights[t]);
                var (u, v) = (Vector512.FusedMultiplyAdd(w, a0, Vector512.Load(row)), Vector512.FusedMultiplyAdd(w, b0, Vector512.Load(row + Lanes)));
                w = Vector512.Create(w1[t]);
                (u, v) = (Vector512.FusedMultiplyAdd(w, a1, u), Vector512.FusedMultiplyAdd(w, b1, v));
                w = Vector512.Create(w2[t]);
                (u, v) = (Vector512.FusedMultiplyAdd(w, a2, u), Vector512.FusedMultiplyAdd(w, b2, v));
                w = Vector512.Create(w3[t]);
                (u, v) = (Vector512.FusedMultiplyAdd(w, a3, u), Vector512.FusedMultiplyAdd(w, b3, v));
                u.Store(row);
                v.Store(row + Lanes);
            }
        }
    }

    /// <summary>Scores → exp(score − largest), zero for what is not seen.</summary>
    /// <returns>The largest score and the sum of the weights.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static (float Largest, float Sum) Weigh(float* scores, int seen, int limit)
    {
        var (last, lanes) = (Vector512.Create(seen), Vector512<int>.Indices);
        var hidden = Vector512.Create(float.NegativeInfinity);
        var largest = hidden;
        for (var t = 0; t < limit; t += Lanes)
        {
            var isSeen = Vector512.LessThan(lanes + Vector512.Create(t), last).AsSingle();
            var score = Vector512.ConditionalSelect(isSeen, Vector512.Load(scores + t), hidden);
            score.Store(scores + t);
            largest = Vector512.Max(largest, score);
        }
        var top = float.NegativeInfinity;
        for (var lane = 0; lane < Lanes; lane++)
            top = MathF.Max(top, largest[lane]);
        var sums = Vector512<float>.Zero;
        for (var t = 0; t < limit; t += Lanes)
        {
            var weight = Vector512.Exp(Vector512.Load(scores + t) - Vector512.Create(top));
            weight.Store(scores + t);
            sums += weight;
        }
        return (top, Vector512.Sum(sums));
    }

    /// <summary>Scores → weights, and gradients of the weights → of the scores: weight · (dweight − Σ weight · dweight).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void WeighBack(float* scores, float* dweights, float logSum, float common, int seen, int limit)
    {
        var (last, lanes) = (Vector512.Create(seen), Vector512<int>.Indices);
        for (var t = 0; t < limit; t += Lanes)
        {
            var isSeen = Vector512.LessThan(lanes + Vector512.Create(t), last).AsSingle();
            var weight = Vector512.ConditionalSelect(isSeen, Vector512.Exp(Vector512.Load(scores + t) - Vector512.Create(logSum)), default);
            weight.Store(scores + t);
            (weight * (Vector512.Load(dweights + t) - Vector512.Create(common))).Store(dweights + t);
        }
    }

    /// <summary>One thread's memory, handed out piece by piece.</summary>
    private sealed class Room(long numbers) : IDisposable
    {
        private readonly float* _start = (float*)NativeMemory.AlignedAlloc((nuint)(numbers * sizeof(float)), 64);
        private long _taken;

        public float* Take(int count)
        {
            var piece = _start + _taken;
            _taken += (count + Lanes - 1) / Lanes * Lanes;
            return piece;
        }

        public void Clear() => _taken = 0;

        public void Dispose() => NativeMemory.AlignedFree(_start);
    }
}
