using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Foundations;

/// <summary>
/// y += x·Wᵀ for a few to many rows of x. Every sum is taken in one order, whatever the rows beside it and whoever asks for which
/// outputs: columns in chunks, in a chunk sixteen running sums of every sixteenth product, which are added at its end. A row's result
/// therefore depends on that row alone, to the last bit.
/// </summary>
internal static unsafe class RowProducts
{
    /// <summary>Outputs computed side by side: with two rows of x they are 16 sums, enough to keep two multipliers busy.</summary>
    public const int Group = 8;

    /// <summary>Columns at a time: 8 rows of a weight are 32 KB then, which the first cache holds while all rows of x pass by.</summary>
    public const int Chunk = 512;

    /// <summary>From one decoded row to the next: a power of two would put all of them into the same few places of the cache.</summary>
    public const int Stride = Chunk + Lanes;

    // More than these and x leaves the second cache before the next group of outputs wants it again.
    private const int Rows = 64;

    private const int Lanes = 16;

    // What one thread does at least: less is not worth waking another for.
    private const long ProductsPerTask = 1 << 18;

    /// <summary>x·Wᵀ, on as many threads as libtorch would use.</summary>
    /// <param name="input">[..., in] float32 on the CPU</param>
    /// <param name="weight">[out, in]</param>
    /// <returns>[..., out] float32</returns>
    public static Tensor Multiply(Tensor input, WeightRows weight)
    {
        using var scope = NewDisposeScope();
        var x = input.contiguous(); // [..., in]
        var rows = (int)(x.numel() / weight.Inputs);
        var result = zeros([.. input.shape[..^1], weight.Outputs], ScalarType.Float32); // [..., out]
        float* from = Memory.Of<float>(x), to = Memory.Of<float>(result);
        var groups = (weight.Outputs + Group - 1) / Group;
        var groupsPerTask = (int)(ProductsPerTask / ((long)Group * weight.Inputs * rows)) + 1;
        Threads.ForRanges(groups, groupsPerTask, (first, end) =>
            Add(from, rows, weight, to, first * Group, Math.Min(end * Group, weight.Outputs)));
        GC.KeepAlive(weight);
        return scope.MoveToOuter(result);
    }

    /// <summary>Adds the products with some outputs.</summary>
    /// <param name="x">[rows, in]</param>
    /// <param name="rows">Rows of x.</param>
    /// <param name="weight">[out, in]</param>
    /// <param name="y">[rows, out]</param>
    /// <param name="first">The first output computed.</param>
    /// <param name="end">The first output not computed.</param>
    public static void Add(float* x, int rows, WeightRows weight, float* y, int first, int end)
    {
        var (inputs, outputs) = (weight.Inputs, weight.Outputs);
        if (rows == 1)
            while (first + 4 <= end && weight.AddFour(x, first, y + first))
                first += 4;
        var scratch = stackalloc float[(Group * Stride) + Lanes];
        scratch = (float*)(((nint)scratch + 63) & ~63); // a cache line's start: a load across two lines costs twice
        for (var top = 0; top < rows; top += Rows)
        {
            for (var group = first; group < end; group += Group)
            {
                var count = Math.Min(Group, end - group);
                for (var column = 0; column < inputs; column += Chunk)
                {
                    var length = Math.Min(Chunk, inputs - column);
                    var w = weight.Read(group, count, column, length, scratch, out var stride);
                    float* from = x + ((long)top * inputs) + column, to = y + ((long)top * outputs) + group;
                    var left = Math.Min(Rows, rows - top);
                    for (; left >= 2; left -= 2, from += 2 * inputs, to += 2 * outputs)
                        Two(from, from + inputs, w, stride, length, to, to + outputs, count);
                    if (left == 1)
                        One(from, w, stride, length, to, count);
                }
            }
        }
    }

    /// <summary>The sixteen sums of each of eight vectors become eight numbers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Sums(
        Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d,
        Vector512<float> e, Vector512<float> f, Vector512<float> g, Vector512<float> h)
    {
        var (abcd, efgh) = (Fours(a, b, c, d), Fours(e, f, g, h));
        return Vector256.Create(abcd, efgh);
    }

    /// <summary>The sums of each of four vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Fours(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d)
    {
        if (!Avx512F.IsSupported)
            return Vector128.Create(Vector512.Sum(a), Vector512.Sum(b), Vector512.Sum(c), Vector512.Sum(d));
        var ab = Avx512F.UnpackLow(a, b) + Avx512F.UnpackHigh(a, b); // in each quarter a, b, a, b
        var cd = Avx512F.UnpackLow(c, d) + Avx512F.UnpackHigh(c, d);
        var abcd = (Avx512F.UnpackLow(ab.AsDouble(), cd.AsDouble()).AsSingle()
            + Avx512F.UnpackHigh(ab.AsDouble(), cd.AsDouble()).AsSingle()); // a, b, c, d
        var half = abcd.GetLower() + abcd.GetUpper();
        return half.GetLower() + half.GetUpper();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Two(float* x0, float* x1, float* w, int stride, int length, float* y0, float* y1, int count)
    {
        // A group at the weight's end repeats its last row.
        float* wa = w, wb = w + (Math.Min(1, count - 1) * (long)stride), wc = w + (Math.Min(2, count - 1) * (long)stride);
        float* wd = w + (Math.Min(3, count - 1) * (long)stride), we = w + (Math.Min(4, count - 1) * (long)stride);
        float* wf = w + (Math.Min(5, count - 1) * (long)stride), wg = w + (Math.Min(6, count - 1) * (long)stride);
        float* wh = w + (Math.Min(7, count - 1) * (long)stride);
        Vector512<float> a0 = default, b0 = default, c0 = default, d0 = default, e0 = default, f0 = default, g0 = default, h0 = default;
        Vector512<float> a1 = default, b1 = default, c1 = default, d1 = default, e1 = default, f1 = default, g1 = default, h1 = default;
        var k = 0;
        for (; k + Lanes <= length; k += Lanes)
        {
            var (u, v) = (Vector512.Load(x0 + k), Vector512.Load(x1 + k));
            var weight = Vector512.Load(wa + k);
            a0 = Vector512.FusedMultiplyAdd(u, weight, a0);
            a1 = Vector512.FusedMultiplyAdd(v, weight, a1);
            weight = Vector512.Load(wb + k);
            b0 = Vector512.FusedMultiplyAdd(u, weight, b0);
            b1 = Vector512.FusedMultiplyAdd(v, weight, b1);
            weight = Vector512.Load(wc + k);
            c0 = Vector512.FusedMultiplyAdd(u, weight, c0);
            c1 = Vector512.FusedMultiplyAdd(v, weight, c1);
            weight = Vector512.Load(wd + k);
            d0 = Vector512.FusedMultiplyAdd(u, weight, d0);
            d1 = Vector512.FusedMultiplyAdd(v, weight, d1);
            weight = Vector512.Load(we + k);
            e0 = Vector512.FusedMultiplyAdd(u, weight, e0);
            e1 = Vector512.FusedMultiplyAdd(v, weight, e1);
            weight = Vector512.Load(wf + k);
            f0 = Vector512.FusedMultiplyAdd(u, weight, f0);
            f1 = Vector512.FusedMultiplyAdd(v, weight, f1);
            weight = Vector512.Load(wg + k);
            g0 = Vector512.FusedMultiplyAdd(u, weight, g0);
            g1 = Vector512.FusedMultiplyAdd(v, weight, g1);
            weight = Vector512.Load(wh + k);
            h0 = Vector512.FusedMultiplyAdd(u, weight, h0);
            h1 = Vector512.FusedMultiplyAdd(v, weight, h1);
        }
        // Both before the first call, which leaves no vector in its register: the compiler would keep them in memory throughout the loop.
        var (sums0, sums1) = (Sums(a0, b0, c0, d0, e0, f0, g0, h0), Sums(a1, b1, c1, d1, e1, f1, g1, h1));
        Finish(x0, w, stride, k, length, y0, count, sums0);
        Finish(x1, w, stride, k, length, y1, count, sums1);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void One(float* x, float* w, int stride, int length, float* y, int count)
    {
        float* wa = w, wb = w + (Math.Min(1, count - 1) * (long)stride), wc = w + (Math.Min(2, count - 1) * (long)stride);
        float* wd = w + (Math.Min(3, count - 1) * (long)stride), we = w + (Math.Min(4, count - 1) * (long)stride);
        float* wf = w + (Math.Min(5, count - 1) * (long)stride), wg = w + (Math.Min(6, count - 1) * (long)stride);
        float* wh = w + (Math.Min(7, count - 1) * (long)stride);
        Vector512<float> a = default, b = default, c = default, d = default, e = default, f = default, g = default, h = default;
        var k = 0;
        for (; k + Lanes <= length; k += Lanes)
        {
            var u = Vector512.Load(x + k);
            a = Vector512.FusedMultiplyAdd(u, Vector512.Load(wa + k), a);
            b = Vector512.FusedMultiplyAdd(u, Vector512.Load(wb + k), b);
            c = Vector512.FusedMultiplyAdd(u, Vector512.Load(wc + k), c);
            d = Vector512.FusedMultiplyAdd(u, Vector512.Load(wd + k), d);
            e = Vector512.FusedMultiplyAdd(u, Vector512.Load(we + k), e);
            f = Vector512.FusedMultiplyAdd(u, Vector512.Load(wf + k), f);
            g = Vector512.FusedMultiplyAdd(u, Vector512.Load(wg + k), g);
            h = Vector512.FusedMultiplyAdd(u, Vector512.Load(wh + k), h);
        }
        Finish(x, w, stride, k, length, y, count, Sums(a, b, c, d, e, f, g, h));
    }

    /// <summary>Adds what is left of the columns, and the sums to y.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Finish(float* x, float* w, int stride, int k, int length, float* y, int count, Vector256<float> sums)
    {
        if (k == length && count == Group)
        {
            (Vector256.Load(y) + sums).Store(y);
            return;
        }
        for (var i = 0; i < count; i++)
        {
            var sum = sums[i];
            for (var j = k; j < length; j++)
                sum += x[j] * w[((long)i * stride) + j];
            y[i] += sum;
        }
    }
}
