using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using RlhfFunctions.Ml.Foundations;

namespace RlhfFunctions.Ml.Passes;

/// <summary>
/// Products with the thin matrices of an adapter, in float32 whatever the states are held as. Ranks are whole sixteens here: what an
/// adapter has less is filled with zeros. A row's sums depend on that row alone.
/// </summary>
/// <typeparam name="T">One number of a hidden state.</typeparam>
/// <typeparam name="TNumbers">How it is held.</typeparam>
internal static unsafe class LowRankLoops<T, TNumbers>
    where T : unmanaged
    where TNumbers : INumbers<T>
{
    private const int Lanes = 16;

    // Rows side by side: eight running sums keep two multipliers busy.
    private const int Group = 8;

    // Columns of eight rows that are held as float32 at a time.
    private const int Chunk = 512;

    // What one thread does at least: less is not worth waking another for.
    private const long ProductsPerTask = 1 << 18;

    /// <summary>low = x·w</summary>
    /// <param name="x">[rows, size]</param>
    /// <param name="rows">Rows of x.</param>
    /// <param name="size">Columns of x.</param>
    /// <param name="w">[size, rank]</param>
    /// <param name="rank">In whole sixteens.</param>
    /// <param name="scale">Multiplies the result.</param>
    /// <param name="low">[rows, rank]; overwritten.</param>
    public static void Narrow(T* x, int rows, int size, float* w, int rank, float scale, float* low)
    {
        var groups = (rows + Group - 1) / Group;
        Threads.ForRanges(groups, (int)(ProductsPerTask / ((long)Group * size * rank)) + 1, (first, end) =>
        {
            var scratch = stackalloc float[Group * Chunk];
            for (var row = first * Group; row < Math.Min(rows, end * Group); row += Group)
                for (var part = 0; part < rank; part += Lanes)
                    NarrowGroup(x + ((long)row * size), Math.Min(Group, rows - row), size, w + part, rank, scale, low + ((long)row * rank) + part, scratch);
        });
    }

    /// <summary>y += low·w</summary>
    /// <param name="low">[rows, rank]</param>
    /// <param name="rows">Rows of y.</param>
    /// <param name="rank">In whole sixteens.</param>
    /// <param name="w">[rank, size]</param>
    /// <param name="size">Columns of y, in whole sixteens.</param>
    /// <param name="y">[rows, size]</param>
    public static void Widen(float* low, int rows, int rank, float* w, int size, T* y)
    {
        const int group = 4;
        var groups = (rows + group - 1) / group;
        Threads.ForRanges(groups, (int)(ProductsPerTask / ((long)group * size * rank)) + 1, (first, end) =>
        {
            // A strip of w, which the first cache holds, for all rows.
            for (var column = 0; column < size; column += 2 * Lanes)
            {
                var isWide = column + Lanes < size;
                var row = first * group;
                for (; isWide && row + group <= Math.Min(rows, end * group); row += group)
                    WidenGroup(low + ((long)row * rank), rank, w + column, size, y + ((long)row * size) + column);
                for (; row < Math.Min(rows, end * group); row++)
                    for (var part = column; part < Math.Min(size, column + (2 * Lanes)); part += Lanes)
                        WidenOne(low + ((long)row * rank), rank, w + part, size, y + ((long)row * size) + part);
            }
        });
    }

    /// <summary>sum = lowᵀ·x, the rows taken in order.</summary>
    /// <param name="low">[rows, rank]</param>
    /// <param name="x">[rows, size]</param>
    /// <param name="rows">Rows of both.</param>
    /// <param name="rank">In whole sixteens.</param>
    /// <param name="size">Columns of x, in whole sixteens.</param>
    /// <param name="sum">[rank, size]; overwritten.</param>
    public static void Outer(float* low, T* x, int rows, int rank, int size, float* sum)
    {
        var strips = size / Lanes;
        Threads.ForRanges(strips, (int)(ProductsPerTask / ((long)Lanes * rows * rank)) + 1, (first, end) =>
        {
            for (var column = first * Lanes; column < end * Lanes; column += Lanes)
                for (var part = 0; part < rank; part += Lanes)
                    OuterStrip(low + part, rank, x + column, size, rows, sum + ((long)part * size) + column);
        });
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void NarrowGroup(T* x, int count, int size, float* w, int rank, float scale, float* low, float* scratch)
    {
        Vector512<float> a = default, b = default, c = default, d = default, e = default, f = default, g = default, h = default;
        for (var column = 0; column < size; column += Chunk)
        {
            var length = Math.Min(Chunk, size - column);
            for (var row = 0; row < Group; row++)
                for (var i = 0; i < length; i += Lanes)
                    (row < count ? TNumbers.Load(x + ((long)row * size) + column + i) : default).Store(scratch + (row * Chunk) + i);
            for (var i = 0; i < length; i++, w += rank)
            {
                var weight = Vector512.Load(w);
                a = Vector512.FusedMultiplyAdd(weight, Vector512.Create(scratch[i]), a);
                b = Vector512.FusedMultiplyAdd(weight, Vector512.Create(scratch[Chunk + i]), b);
                c = Vector512.FusedMultiplyAdd(weight, Vector512.Create(scratch[(2 * Chunk) + i]), c);
                d = Vector512.FusedMultiplyAdd(weight, Vector512.Create(scratch[(3 * Chunk) + i]), d);
                e = Vector512.FusedMultiplyAdd(weight, Vector512.Create(scratch[(4 * Chunk) + i]), e);
                f = Vector512.FusedMultiplyAdd(weight, Vector512.Create(scratch[(5 * Chunk) + i]), f);
                g = Vector512.FusedMultiplyAdd(weight, Vector512.Create(scratch[(6 * Chunk) + i]), g);
                h = Vector512.FusedMultiplyAdd(weight, Vector512.Create(scratch[(7 * Chunk) + i]), h);
            }
        }
        ReadOnlySpan<Vector512<float>> sums = [a, b, c, d, e, f, g, h];
        for (var row = 0; row < count; row++)
            (sums[row] * scale).Store(low + ((long)row * rank));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void WidenGroup(float* low, int rank, float* w, int size, T* y)
    {
        T* y1 = y + size, y2 = y1 + size, y3 = y2 + size;
        Vector512<float> a0 = TNumbers.Load(y), b0 = TNumbers.Load(y + Lanes), a1 = TNumbers.Load(y1), b1 = TNumbers.Load(y1 + Lanes);
        Vector512<float> a2 = TNumbers.Load(y2), b2 = TNumbers.Load(y2 + Lanes), a3 = TNumbers.Load(y3), b3 = TNumbers.Load(y3 + Lanes);
        for (var r = 0; r < rank; r++, w += size)
        {
            var (u, v) = (Vector512.Load(w), Vector512.Load(w + Lanes));
            var x = Vector512.Create(low[r]);
            a0 = Vector512.FusedMultiplyAdd(x, u, a0);
            b0 = Vector512.FusedMultiplyAdd(x, v, b0);
            x = Vector512.Create(low[rank + r]);
            a1 = Vector512.FusedMultiplyAdd(x, u, a1);
            b1 = Vector512.FusedMultiplyAdd(x, v, b1);
            x = Vector512.Create(low[(2 * rank) + r]);
            a2 = Vector512.FusedMultiplyAdd(x, u, a2);
            b2 = Vector512.FusedMultiplyAdd(x, v, b2);
            x = Vector512.Create(low[(3 * rank) + r]);
            a3 = Vector512.FusedMultiplyAdd(x, u, a3);
            b3 = Vector512.FusedMultiplyAdd(x, v, b3);
        }
        TNumbers.Store(a0, y);
        TNumbers.Store(b0, y + Lanes);
        TNumbers.Store(a1, y1);
        TNumbers.Store(b1, y1 + Lanes);
        TNumbers.Store(a2, y2);
        TNumbers.Store(b2, y2 + Lanes);
        TNumbers.Store(a3, y3);
        TNumbers.Store(b3, y3 + Lanes);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void WidenOne(float* low, int rank, float* w, int size, T* y)
    {
        var sum = TNumbers.Load(y);
        for (var r = 0; r < rank; r++, w += size)
            sum = Vector512.FusedMultiplyAdd(Vector512.Create(low[r]), Vector512.Load(w), sum);
        TNumbers.Store(sum, y);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OuterStrip(float* low, int rank, T* x, int size, int rows, float* sum)
    {
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default, s4 = default, s5 = default, s6 = default, s7 = default;
        Vector512<float> s8 = default, s9 = default, s10 = default, s11 = default, s12 = default, s13 = default, s14 = default, s15 = default;
        for (var row = 0; row < rows; row++, low += rank, x += size)
        {
            var v = TNumbers.Load(x);
            s0 = Vector512.FusedMultiplyAdd(v, Vector512.Create(low[0]), s0);
            s1 = Vector512.FusedMultiplyAdd(v, Vector512.Create(low[1]), s1);
            s2 = Vector512.FusedMultiplyAdd(v, Vector512.Create(low[2]), s2);
            s3 = Vector512.FusedMultiplyAdd(v, Vector512.Create(low[3]), s3);
            s4 = Vector512.FusedMultiplyAdd(v, Vector512.Create(low[4]), s4);
            s5 = Vector512.FusedMultiplyAdd(v, Vector512.Create(low[5]), s5);
            s6 = Vector512.FusedMultiplyAdd(v, Vector512.Create(low[6]), s6);
            s7 = Vector512.FusedMultiplyAdd(v, Vector512.Create(low[7]), s7);
            s8 = Vector512.FusedMultiplyAdd(v, Vector512.Create(low[8]), s8);
            s9 = Vector512.FusedMultiplyAdd(v, Vector512.Create(low[9]), s9);
            s10 = Vector512.FusedMultiplyAdd(v, Vector512.Create(low[10]), s10);
            s11 = Vector512.FusedMultiplyAdd(v, Vector512.Create(low[11]), s11);
            s12 = Vector512.FusedMultiplyAdd(v, Vector512.Create(low[12]), s12);
            s13 = Vector512.FusedMultiplyAdd(v, Vector512.Create(low[13]), s13);
            s14 = Vector512.FusedMultiplyAdd(v, Vector512.Create(low[14]), s14);
            s15 = Vector512.FusedMultiplyAdd(v, Vector512.Create(low[15]), s15);
        }
        ReadOnlySpan<Vector512<float>> sums = [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15];
        for (var r = 0; r < Lanes; r++)
            sums[r].Store(sum + ((long)r * size));
    }
}
