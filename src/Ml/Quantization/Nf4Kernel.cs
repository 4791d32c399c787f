using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using RlhfFunctions.Ml.Foundations;
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

    /// <summary>The codes and scales of weights.</summary>
    /// <param name="weights">[n] float32, contiguous</param>
    /// <param name="codes">[⌈n/2⌉] bytes, contiguous; overwritten</param>
    /// <param name="scales">[⌈n/64⌉] float32, contiguous; overwritten</param>
    public static void Quantize(Tensor weights, Tensor codes, Tensor scales)
    {
        var count = weights.shape[0];
        byte* target = Memory.Of<byte>(codes);
        float* source = Memory.Of<float>(weights), scale = Memory.Of<float>(scales);
        Threads.ForRanges((int)scales.shape[0], BlocksPerTask, (first, end) =>
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
        byte* source = Memory.Of<byte>(codes);
        float* scale = Memory.Of<float>(scales), target = Memory.Of<float>(weights);
        Threads.ForRanges(blocks, BlocksPerTask, (first, end) =>
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

    /// <summary>Sixteen bytes as the 16 even and the 16 odd weights in them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Decode(byte* codes, Vector512<float> table, out Vector512<float> even, out Vector512<float> odd)
    {
        var bytes = Avx512F.ConvertToVector512Int32(Vector128.Load(codes));
        // A permutation reads the lowest four bits of its indices, so the upper half of a byte needs no mask.
        even = Avx512F.PermuteVar16x32(table, Vector512.ShiftRightLogical(bytes, 4));
        odd = Avx512F.PermuteVar16x32(table, bytes);
    }
}
