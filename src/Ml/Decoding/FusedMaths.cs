using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using RlhfFunctions.Ml.Models;

namespace RlhfFunctions.Ml.Decoding;

/// <summary>What a Llama computes between its products, a row at a time.</summary>
internal static unsafe class FusedMaths
{
    /// <summary>y = w · x / √(mean(x²) + ε)</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Norm(float* x, float* weight, int size, double epsilon, float* y)
    {
        var squares = Vector512<float>.Zero;
        var i = 0;
        for (; i + 16 <= size; i += 16)
            squares = Vector512.FusedMultiplyAdd(Vector512.Load(x + i), Vector512.Load(x + i), squares);
        var sum = Vector512.Sum(squares);
        for (; i < size; i++)
            sum += x[i] * x[i];
        var inverse = 1 / MathF.Sqrt((sum / size) + (float)epsilon);
        for (i = 0; i + 16 <= size; i += 16)
            (Vector512.Load(x + i) * inverse * Vector512.Load(weight + i)).Store(y + i);
        for (; i < size; i++)
            y[i] = x[i] * inverse * weight[i];
    }

    /// <summary>Turns one head to its position; see <see cref="RotaryEmbedding"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rotate(float* x, int size, float* cosine, float* sine)
    {
        var half = size / 2;
        sine += half; // the first half is the second negated
        for (var i = 0; i < half; i++)
        {
            var (a, b) = (x[i], x[i + half]);
            x[i] = (a * cosine[i]) - (b * sine[i]);
            x[i + half] = (b * cosine[i]) + (a * sine[i]);
        }
    }

    /// <summary>gate = silu(gate) · up</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Gate(float* gate, float* up, int count)
    {
        var i = 0;
        for (; i + 16 <= count; i += 16)
        {
            var x = Vector512.Load(gate + i);
            (x / (Vector512<float>.One + Vector512.Exp(-x)) * Vector512.Load(up + i)).Store(gate + i);
        }
        if (i == count)
            return;
        // By the same instructions, so that a number does not depend on where the threads' shares meet.
        float* x0 = stackalloc float[16], x1 = stackalloc float[16];
        new ReadOnlySpan<float>(gate + i, count - i).CopyTo(new Span<float>(x0, 16));
        new ReadOnlySpan<float>(up + i, count - i).CopyTo(new Span<float>(x1, 16));
        Gate(x0, x1, 16);
        new ReadOnlySpan<float>(x0, count - i).CopyTo(new Span<float>(gate + i, count - i));
    }
}
