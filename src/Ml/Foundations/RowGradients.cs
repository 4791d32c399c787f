using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Foundations;

/// <summary>dy·W: the way back through <see cref="RowProducts"/>. A row's result depends on that row alone.</summary>
internal static unsafe class RowGradients
{
    private const int Lanes = 16;

    // Columns at a time: with two rows they are 16 sums, enough to keep two multipliers busy.
    private const int Width = 8 * Lanes;

    // Rows of W at a time: 128 columns of 64 rows are 32 KB, which the first cache holds while all rows of dy pass by.
    private const int Piece = 64;

    // What one thread does at least: less is not worth waking another for.
    private const long ProductsPerTask = 1 << 18;

    /// <summary>dy·W, on as many threads as libtorch would use.</summary>
    /// <param name="gradient">[..., out] float32 on the CPU</param>
    /// <param name="weight">[out, in] float32, contiguous, on the CPU</param>
    /// <returns>[..., in] float32</returns>
    public static Tensor Multiply(Tensor gradient, Tensor weight)
    {
        using var scope = NewDisposeScope();
        var dy = gradient.contiguous(); // [..., out]
        var (outputs, inputs) = ((int)weight.shape[0], (int)weight.shape[1]);
        var rows = (int)(dy.numel() / outputs);
        var result = zeros([.. gradient.shape[..^1], inputs], ScalarType.Float32); // [..., in]
        float* from = Memory.Of<float>(dy), w = Memory.Of<float>(weight), to = Memory.Of<float>(result);
        var rowsPerTask = (int)(ProductsPerTask / ((long)outputs * inputs)) + 1;
        Threads.ForRanges(rows, rowsPerTask, (first, end) => Add(
            from + ((long)first * outputs), end - first, outputs, w, inputs, to + ((long)first * inputs)));
        GC.KeepAlive(weight);
        return scope.MoveToOuter(result);
    }

    /// <summary>dx += dy·W: pieces of W that the first cache holds, all rows past each.</summary>
    private static void Add(float* dy, int rows, int outputs, float* w, int inputs, float* dx)
    {
        for (var first = 0; first < outputs; first += Piece)
        {
            var count = Math.Min(Piece, outputs - first);
            float* from = dy + first, weight = w + ((long)first * inputs);
            var column = 0;
            for (; column + Width <= inputs; column += Width)
            {
                var row = 0;
                for (; row + 2 <= rows; row += 2)
                    TwoWide(from + ((long)row * outputs), outputs, weight + column, inputs, count, dx + ((long)row * inputs) + column);
                if (row < rows)
                    OneWide(from + ((long)row * outputs), weight + column, inputs, count, dx + ((long)row * inputs) + column);
            }
            for (var row = 0; row < rows; row++)
                Rest(from + ((long)row * outputs), weight + column, inputs, count, dx + ((long)row * inputs) + column, inputs - column);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TwoWide(float* dy, int outputs, float* w, int stride, int count, float* dx)
    {
        var x1 = dx + stride;
        Vector512<float> a0 = Vector512.Load(dx), b0 = Vector512.Load(dx + 16), c0 = Vector512.Load(dx + 32), d0 = Vector512.Load(dx + 48);
        Vector512<float> e0 = Vector512.Load(dx + 64), f0 = Vector512.Load(dx + 80), g0 = Vector512.Load(dx + 96), h0 = Vector512.Load(dx + 112);
        Vector512<float> a1 = Vector512.Load(x1), b1 = Vector512.Load(x1 + 16), c1 = Vector512.Load(x1 + 32), d1 = Vector512.Load(x1 + 48);
        Vector512<float> e1 = Vector512.Load(x1 + 64), f1 = Vector512.Load(x1 + 80), g1 = Vector512.Load(x1 + 96), h1 = Vector512.Load(x1 + 112);
        for (var n = 0; n < count; n++, w += stride)
        {
            var (u, v) = (Vector512.Create(dy[n]), Vector512.Create(dy[outputs + n]));
            var weight = Vector512.Load(w);
            a0 = Vector512.FusedMultiplyAdd(u, weight, a0);
            a1 = Vector512.FusedMultiplyAdd(v, weight, a1);
            weight = Vector512.Load(w + 16);
            b0 = Vector512.FusedMultiplyAdd(u, weight, b0);
            b1 = Vector512.FusedMultiplyAdd(v, weight, b1);
            weight = Vector512.Load(w + 32);
            c0 = Vector512.FusedMultiplyAdd(u, weight, c0);
            c1 = Vector512.FusedMultiplyAdd(v, weight, c1);
            weight = Vector512.Load(w + 48);
            d0 = Vector512.FusedMultiplyAdd(u, weight, d0);
            d1 = Vector512.FusedMultiplyAdd(v, weight, d1);
            weight = Vector512.Load(w + 64);
            e0 = Vector512.FusedMultiplyAdd(u, weight, e0);
            e1 = Vector512.FusedMultiplyAdd(v, weight, e1);
            weight = Vector512.Load(w + 80);
            f0 = Vector512.FusedMultiplyAdd(u, weight, f0);
            f1 = Vector512.FusedMultiplyAdd(v, weight, f1);
            weight = Vector512.Load(w + 96);
            g0 = Vector512.FusedMultiplyAdd(u, weight, g0);
            g1 = Vector512.FusedMultiplyAdd(v, weight, g1);
            weight = Vector512.Load(w + 112);
            h0 = Vector512.FusedMultiplyAdd(u, weight, h0);
            h1 = Vector512.FusedMultiplyAdd(v, weight, h1);
        }
        Store(dx, a0, b0, c0, d0, e0, f0, g0, h0);
        Store(x1, a1, b1, c1, d1, e1, f1, g1, h1);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneWide(float* dy, float* w, int stride, int count, float* dx)
    {
        Vector512<float> a = Vector512.Load(dx), b = Vector512.Load(dx + 16), c = Vector512.Load(dx + 32), d = Vector512.Load(dx + 48);
        Vector512<float> e = Vector512.Load(dx + 64), f = Vector512.Load(dx + 80), g = Vector512.Load(dx + 96), h = Vector512.Load(dx + 112);
        for (var n = 0; n < count; n++, w += stride)
        {
            var u = Vector512.Create(dy[n]);
            a = Vector512.FusedMultiplyAdd(u, Vector512.Load(w), a);
            b = Vector512.FusedMultiplyAdd(u, Vector512.Load(w + 16), b);
            c = Vector512.FusedMultiplyAdd(u, Vector512.Load(w + 32), c);
            d = Vector512.FusedMultiplyAdd(u, Vector512.Load(w + 48), d);
            e = Vector512.FusedMultiplyAdd(u, Vector512.Load(w + 64), e);
            f = Vector512.FusedMultiplyAdd(u, Vector512.Load(w + 80), f);
            g = Vector512.FusedMultiplyAdd(u, Vector512.Load(w + 96), g);
            h = Vector512.FusedMultiplyAdd(u, Vector512.Load(w + 112), h);
        }
        Store(dx, a, b, c, d, e, f, g, h);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(
        float* x, Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d,
        Vector512<float> e, Vector512<float> f, Vector512<float> g, Vector512<float> h)
    {
        a.Store(x);
        b.Store(x + 16);
        c.Store(x + 32);
        d.Store(x + 48);
        e.Store(x + 64);
        f.Store(x + 80);
        g.Store(x + 96);
        h.Store(x + 112);
    }

    /// <summary>The columns that are no whole group.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rest(float* dy, float* w, int stride, int count, float* dx, int columns)
    {
        var column = 0;
        for (; column + Lanes <= columns; column += Lanes)
        {
            var sum = Vector512.Load(dx + column);
            for (var n = 0; n < count; n++)
                sum = Vector512.FusedMultiplyAdd(Vector512.Create(dy[n]), Vector512.Load(w + ((long)n * stride) + column), sum);
            sum.Store(dx + column);
        }
        for (; column < columns; column++)
            for (var n = 0; n < count; n++)
                dx[column] += dy[n] * w[((long)n * stride) + column];
    }
}
