using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Quantization;

/// <summary>
/// Loops over 4-bit weights on a CPU. A block's 16 possible values fit one 512-bit register, so that a permutation decodes 16
/// weights at once; machines without such registers look them up one by one.
/// </summary>
internal static unsafe class Nf4Kernel
{
    private const int BlockBytes = Nf4.BlockSize / 2;

    // What one thread does at least: less is not worth waking another for.
    private const int BlocksPerTask = 4096;

    // The halves of two registers taken in turns: a byte holds an even weight above and an odd one below.
    private static readonly Vector512<int> FirstTurns = Vector512.Create(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    private static readonly Vector512<int> LastTurns = FirstTurns + Vector512.Create(8);

    /// <summary>Whether <see cref="Multiply"/> runs here.</summary>
    public static bool CanMultiply => Avx512F.IsSupported;

    /// <summary>The codes and scales of weights.</summary>
    /// <param name="weights">[n] float32, contiguous</param>
    /// <param name="codes">[⌈n/2⌉] bytes, contiguous; overwritten</param>
    /// <param name="scales">[⌈n/64⌉] float32, contiguous; overwritten</param>
    public static void Quantize(Tensor weights, Tensor codes, Tensor scales)
    {
        var count = weights.shape[0];
        byte* target = Pointer<byte>(codes);
        float* source = Pointer<float>(weights), scale = Pointer<float>(scales);
        ForRanges((int)scales.shape[0], BlocksPerTask, (first, end) =>
        {
            var values = stackalloc float[Nf4.BlockSize];
            var numbers = stackalloc int[Nf4.BlockSize];
            for (var block = first; block < end; block++)
            {
                // What a last, shorter block lacks counts as zero.
                var size = (int)Math.Min(Nf4.BlockSize, count - ((long)block * Nf4.BlockSize));
                new Span<float>(values, Nf4.BlockSize).Clear();
                new ReadOnlySpan<float>(source + ((long)block * Nf4.BlockSize), size).CopyTo(new Span<float>(values, size));
                scale[block] = Quantize(values, numbers);
                for (var i = 0; i < (size + 1) / 2; i++)
                    target[((long)block * BlockBytes) + i] = (byte)((numbers[2 * i] << 4) | numbers[(2 * i) + 1]);
            }
        });
    }

    /// <summary>All weights as float32, each rounded to the type they were quantised from.</summary>
    /// <param name="codes">[⌈n/2⌉] bytes</param>
    /// <param name="scales">[blocks] float32</param>
    /// <param name="count">n.</param>
    /// <param name="type">What the weights were quantised from.</param>
    /// <returns>[n] float32</returns>
    public static Tensor Dequantize(Tensor codes, Tensor scales, long count, ScalarType type)
    {
        var blocks = (int)scales.shape[0];
        var weights = empty(count, ScalarType.Float32);
        byte* source = Pointer<byte>(codes);
        float* scale = Pointer<float>(scales), target = Pointer<float>(weights);
        ForRanges(blocks, BlocksPerTask, (first, end) =>
        {
            var values = stackalloc float[16];
            for (var block = first; block < end; block++)
            {
                var table = Nf4.Table(scale[block], type);
                byte* from = source + ((long)block * BlockBytes);
                float* to = target + ((long)block * Nf4.BlockSize);
                var size = Math.Min(Nf4.BlockSize, count - ((long)block * Nf4.BlockSize));
                if (Avx512F.IsSupported && size == Nf4.BlockSize)
                {
                    for (var i = 0; i < BlockBytes; i += 16)
                    {
                        Decode(from + i, table, out var even, out var odd);
                        Avx512F.PermuteVar16x32x2(even, FirstTurns, odd).Store(to + (2 * i));
                        Avx512F.PermuteVar16x32x2(even, LastTurns, odd).Store(to + (2 * i) + 16);
                    }
                    continue;
                }
                table.Store(values);
                for (var i = 0; i < size; i++)
                    to[i] = values[(from[i / 2] >> (i % 2 == 0 ? 4 : 0)) & 15];
            }
        });
        return weights;
    }

    /// <summary>x·Wᵀ without ever writing W down. A row's sums do not depend on the rows beside it.</summary>
    /// <param name="input">[M, in] float32, contiguous; in is a multiple of the block size</param>
    /// <param name="codes">[out · in / 2] bytes</param>
    /// <param name="scales">[out · in / 64] float32</param>
    /// <param name="type">What the weights were quantised from.</param>
    /// <returns>[M, out] float32</returns>
    public static Tensor Multiply(Tensor input, Tensor codes, Tensor scales, ScalarType type)
    {
        var (rows, width) = ((int)input.shape[0], (int)input.shape[1]);
        var blocks = width / Nf4.BlockSize;
        var outputs = (int)(scales.shape[0] / blocks);
        using var turns = input.view(rows, width / 2, 2).transpose(1, 2);
        using var split = turns.contiguous(); // [M, 2, in/2]: even columns, then odd ones
        var result = empty(rows, outputs, ScalarType.Float32);
        byte* source = Pointer<byte>(codes);
        float* scale = Pointer<float>(scales), x = Pointer<float>(split), y = Pointer<float>(result);
        ForRanges(outputs, Math.Max(1, BlocksPerTask / blocks), (first, end) =>
        {
            for (var output = first; output < end; output++)
            {
                byte* from = source + ((long)output * blocks * BlockBytes);
                float* rowScale = scale + ((long)output * blocks);
                var row = 0;
                for (; row + 4 <= rows; row += 4)
                    Dot4(x + ((long)row * width), width, from, rowScale, blocks, type, y + ((long)row * outputs) + output, outputs);
                for (; row < rows; row++)
                    y[((long)row * outputs) + output] = Dot(x + ((long)row * width), width / 2, from, rowScale, blocks, type);
            }
        });
        return result;
    }

    private static float Quantize(float* values, int* codes)
    {
        var magnitudes = Vector512<float>.Zero;
        for (var i = 0; i < Nf4.BlockSize; i += Vector512<float>.Count)
            magnitudes = Vector512.Max(magnitudes, Vector512.Abs(Vector512.Load(values + i)));
        var scale = 0f;
        for (var i = 0; i < Vector512<float>.Count; i++)
            scale = Math.Max(scale, magnitudes[i]);
        // Reciprocal, then product, as the original; a block of zeros has none and is all code 7, which is zero.
        var inverse = scale == 0 ? 0 : 1 / scale;
        for (var i = 0; i < Nf4.BlockSize; i += Vector512<float>.Count)
        {
            var value = Vector512.Load(values + i) * inverse;
            var code = Vector512<int>.Zero;
            foreach (var threshold in Nf4.Thresholds)
                code -= Vector512.GreaterThan(value, Vector512.Create(threshold)).AsInt32(); // true is −1
            code.Store(codes + i);
        }
        return scale;
    }

    private static float Dot(float* x, int half, byte* codes, float* scales, int blocks, ScalarType type)
    {
        var (evens, odds) = (Vector512<float>.Zero, Vector512<float>.Zero); // two sums need not wait for each other
        for (var block = 0; block < blocks; block++, codes += BlockBytes, x += BlockBytes)
        {
            var table = Nf4.Table(scales[block], type);
            for (var i = 0; i < BlockBytes; i += 16)
            {
                Decode(codes + i, table, out var even, out var odd);
                Add(ref evens, ref odds, even, odd, x + i, half);
            }
        }
        return Vector512.Sum(evens + odds);
    }

    /// <summary>Four rows at once: what costs time is decoding.</summary>
    private static void Dot4(float* x, int width, byte* codes, float* scales, int blocks, ScalarType type, float* y, int stride)
    {
        Vector512<float> evensA = default, evensB = default, evensC = default, evensD = default;
        Vector512<float> oddsA = default, oddsB = default, oddsC = default, oddsD = default;
        var half = width / 2;
        for (var block = 0; block < blocks; block++, codes += BlockBytes, x += BlockBytes)
        {
            var table = Nf4.Table(scales[block], type);
            for (var i = 0; i < BlockBytes; i += 16)
            {
                Decode(codes + i, table, out var even, out var odd);
                Add(ref evensA, ref oddsA, even, odd, x + i, half);
                Add(ref evensB, ref oddsB, even, odd, x + width + i, half);
                Add(ref evensC, ref oddsC, even, odd, x + (2 * width) + i, half);
                Add(ref evensD, ref oddsD, even, odd, x + (3 * width) + i, half);
            }
        }
        y[0] = Vector512.Sum(evensA + oddsA);
        y[stride] = Vector512.Sum(evensB + oddsB);
        y[2 * stride] = Vector512.Sum(evensC + oddsC);
        y[3 * stride] = Vector512.Sum(evensD + oddsD);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(
        ref Vector512<float> evens, ref Vector512<float> odds, Vector512<float> even, Vector512<float> odd, float* x, int half)
    {
        evens = Avx512F.FusedMultiplyAdd(even, Vector512.Load(x), evens);
        odds = Avx512F.FusedMultiplyAdd(odd, Vector512.Load(x + half), odds);
    }

    /// <summary>Sixteen bytes as the 16 even and the 16 odd weights in them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Decode(byte* codes, Vector512<float> table, out Vector512<float> even, out Vector512<float> odd)
    {
        var bytes = Avx512F.ConvertToVector512Int32(Vector128.Load(codes));
        // A permutation reads the lowest four bits of its indices, so the upper half of a byte needs no mask.
        even = Avx512F.PermuteVar16x32(table, Vector512.ShiftRightLogical(bytes, 4));
        odd = Avx512F.PermuteVar16x32(table, bytes);
    }

    private static void ForRanges(int count, int atLeast, Action<int, int> work)
    {
        var tasks = Math.Clamp(count / atLeast, 1, get_num_threads());
        if (tasks == 1)
            work(0, count);
        else
            Parallel.For(0, tasks, task => work((int)((long)count * task / tasks), (int)((long)count * (task + 1) / tasks)));
    }

    private static T* Pointer<T>(Tensor tensor)
        where T : unmanaged
    {
        fixed (byte* start = tensor.bytes)
            return (T*)start; // libtorch's memory: the garbage collector does not move it
    }
}
