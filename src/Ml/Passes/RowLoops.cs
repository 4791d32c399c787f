using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using RlhfFunctions.Ml.Foundations;

namespace RlhfFunctions.Ml.Passes;

/// <summary>What a block computes between its products and its attention, forth and back, row by row; sizes are whole sixteens.</summary>
/// <typeparam name="T">One number of a hidden state.</typeparam>
/// <typeparam name="TNumbers">How it is held.</typeparam>
internal static unsafe class RowLoops<T, TNumbers>
    where T : unmanaged
    where TNumbers : INumbers<T>
{
    private const int Lanes = 16;

    /// <summary>y = w · x / √(mean(x²) + ε), rounded before and after the factor w, as transformers' LlamaRMSNorm does.</summary>
    /// <param name="x">[rows, size]</param>
    /// <param name="weight">[size]</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="rows">Rows of x.</param>
    /// <param name="size">H.</param>
    /// <param name="y">[rows, size]; overwritten.</param>
    /// <param name="inverses">1 / √(mean(x²) + ε). [rows]; overwritten.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Norm(T* x, T* weight, float epsilon, int rows, int size, T* y, float* inverses)
    {
        for (var row = 0; row < rows; row++, x += size, y += size)
        {
            Vector512<float> even = default, odd = default;
            for (var i = 0; i < size; i += 2 * Lanes)
            {
                var a = TNumbers.Load(x + i);
                even = Vector512.FusedMultiplyAdd(a, a, even);
                if (i + Lanes == size)
                    break;
                var b = TNumbers.Load(x + i + Lanes);
                odd = Vector512.FusedMultiplyAdd(b, b, odd);
            }
            inverses[row] = 1 / MathF.Sqrt((Vector512.Sum(even + odd) / size) + epsilon);
            var inverse = Vector512.Create(inverses[row]);
            for (var i = 0; i < size; i += Lanes)
                TNumbers.Store(TNumbers.Round(TNumbers.Load(x + i) * inverse) * TNumbers.Load(weight + i), y + i);
        }
    }

    /// <summary>dx += the way back through <see cref="Norm"/>: r·w·dy − x · r³ · Σ(w·dy·x) / H, r being the inverse.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void NormBack(T* dy, T* x, T* weight, float* inverses, int rows, int size, T* dx)
    {
        for (var row = 0; row < rows; row++, x += size, dy += size, dx += size)
        {
            var sum = Vector512<float>.Zero;
            for (var i = 0; i < size; i += Lanes)
                sum = Vector512.FusedMultiplyAdd(TNumbers.Load(dy + i) * TNumbers.Load(weight + i), TNumbers.Load(x + i), sum);
            var r = inverses[row];
            var (inverse, share) = (Vector512.Create(r), Vector512.Create(-r * r * r * Vector512.Sum(sum) / size));
            for (var i = 0; i < size; i += Lanes)
            {
                var direct = Vector512.FusedMultiplyAdd(TNumbers.Load(dy + i) * TNumbers.Load(weight + i), inverse, TNumbers.Load(dx + i));
                TNumbers.Store(Vector512.FusedMultiplyAdd(TNumbers.Load(x + i), share, direct), dx + i);
            }
        }
    }

    /// <summary>Turns heads to their positions, in place, or back again (Su et al., arXiv:2104.09864, in the layout of transformers' Llama).</summary>
    /// <param name="x">Where the first of the rows begins. [rows, heads, D]</param>
    /// <param name="first">The first row.</param>
    /// <param name="end">The one behind the last.</param>
    /// <param name="heads">Heads of a row.</param>
    /// <param name="headSize">D, in whole thirty-twos.</param>
    /// <param name="cosine">[period, D]</param>
    /// <param name="signedSine">[period, D], the first half negated.</param>
    /// <param name="period">Rows after which the rotations repeat.</param>
    /// <param name="isBack">Whether it is the way back, by the opposite angle.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rotate(T* x, int first, int end, int heads, int headSize, T* cosine, T* signedSine, int period, bool isBack)
    {
        var half = headSize / 2;
        for (var row = first; row < end; row++)
        {
            var place = (long)(row % period) * headSize;
            T* cos = cosine + place, sin = signedSine + place + half;
            for (var head = 0; head < heads; head++, x += headSize)
                for (var i = 0; i < half; i += Lanes)
                {
                    var (a, b) = (TNumbers.Load(x + i), TNumbers.Load(x + half + i));
                    var (c, s) = (TNumbers.Load(cos + i), TNumbers.Load(sin + i));
                    if (isBack)
                        s = -s;
                    TNumbers.Store((a * c) - (b * s), x + i);
                    TNumbers.Store((b * c) + (a * s), x + half + i);
                }
        }
    }

    /// <summary>y = silu(gate) · up</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Gate(T* gate, T* up, int count, T* y)
    {
        for (var i = 0; i < count; i += Lanes)
        {
            var x = TNumbers.Load(gate + i);
            TNumbers.Store(x / (Vector512<float>.One + Vector512.Exp(-x)) * TNumbers.Load(up + i), y + i);
        }
    }

    /// <summary>The way back through <see cref="Gate"/>: σ being the logistic function, dup = dy · x·σ(x), dgate = dy · up · σ(x)(1 + x(1 − σ(x))).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void GateBack(T* dy, T* gate, T* up, int count, T* dgate, T* dup)
    {
        for (var i = 0; i < count; i += Lanes)
        {
            var (d, x) = (TNumbers.Load(dy + i), TNumbers.Load(gate + i));
            var sigma = Vector512<float>.One / (Vector512<float>.One + Vector512.Exp(-x));
            var u = TNumbers.Load(up + i);
            TNumbers.Store(d * x * sigma, dup + i);
            TNumbers.Store(d * u * sigma * Vector512.FusedMultiplyAdd(x, Vector512<float>.One - sigma, Vector512<float>.One), dgate + i);
        }
    }
}
