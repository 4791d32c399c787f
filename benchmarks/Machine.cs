using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace RlhfFunctions.Benchmarks;

/// <summary>What this machine could do at most, measured in the same run.</summary>
/// <param name="BytesPerSecond">Read from memory by all threads.</param>
/// <param name="Flops">Of libtorch's bfloat16 matrix product.</param>
internal sealed record Machine(double BytesPerSecond, double Flops)
{
    public static Machine Measure()
    {
        var read = ReadSpeed();
        using var scope = NewDisposeScope();
        const int size = 2048;
        var (a, b) = (randn(size, size).to(ScalarType.BFloat16), randn(size, size).to(ScalarType.BFloat16));
        var seconds = Measurement.Seconds(7, () => a.matmul(b).Dispose());
        return new(read, 2.0 * size * size * size / seconds.Min());
    }

    private static unsafe double ReadSpeed()
    {
        const long length = 512L << 20;
        var threads = get_num_threads();
        var memory = (nint)NativeMemory.AlignedAlloc((nuint)length, 64);
        NativeMemory.Fill((void*)memory, (nuint)length, 1);
        var sums = new long[threads];
        var seconds = Measurement.Seconds(5, () => Parallel.For(0, threads, thread =>
        {
            var sum = Vector512<long>.Zero;
            var end = (byte*)memory + (length * (thread + 1) / threads);
            for (var at = (byte*)memory + (length * thread / threads); at + 256 <= end; at += 256)
                sum += Vector512.Load((long*)at) + Vector512.Load((long*)(at + 64)) + Vector512.Load((long*)(at + 128)) + Vector512.Load((long*)(at + 192));
            sums[thread] += Vector512.Sum(sum);
        }));
        NativeMemory.AlignedFree((void*)memory);
        return length / seconds.Min();
    }
}
