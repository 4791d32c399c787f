using BenchmarkDotNet.Attributes;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Quantization;
using static TorchSharp.torch;

namespace RlhfFunctions.Benchmarks;

/// <summary>One matrix of TinyLlama's MLP, 5632 × 2048, on one thread: what generation does most of the time, beside libtorch.</summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Design", "CA1001", Justification = "BenchmarkDotNet calls Cleanup.")]
public unsafe class KernelBenchmarks
{
    private const int Outputs = 5632, Inputs = 2048;

    private Nf4Rows _weight = null!;
    private Tensor _single = null!, _half = null!, _x = null!, _xHalf = null!, _y = null!, _room = null!;

    [Params(1, 8, 32, 64)]
    public int Rows { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        set_num_threads(1);
        _weight = new Nf4Rows(new Nf4Weight(
            randint(256, [Outputs * Inputs / 2], ScalarType.Byte), full(Outputs * Inputs / Nf4.BlockSize, 0.04296875f), [Outputs, Inputs], ScalarType.Float16));
        _single = randn(Outputs, Inputs);
        _half = _single.bfloat16();
        _x = randn(Rows, Inputs);
        _xHalf = _x.bfloat16();
        _y = zeros(Rows, Outputs);
        _room = empty(IntegerProducts.RoomFor(Rows, Inputs), ScalarType.Int16);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        _weight.Dispose();
        foreach (var tensor in new[] { _single, _half, _x, _xHalf, _y, _room })
            tensor.Dispose();
    }

    [Benchmark]
    public void Codes() => RowProducts.Add(Memory.Of<float>(_x), Rows, _weight, Memory.Of<float>(_y), 0, Outputs);

    [Benchmark]
    public void CodesAsIntegers() =>
        IntegerProducts.Add(Memory.Of<float>(_x), Rows, _weight, Memory.Of<float>(_y), 0, Outputs, Memory.Of<short>(_room));

    [Benchmark]
    public void LibtorchFloat32() => _x.matmul(_single.t()).Dispose();

    [Benchmark(Baseline = true)]
    public void LibtorchBFloat16() => _xHalf.matmul(_half.t()).Dispose();
}
