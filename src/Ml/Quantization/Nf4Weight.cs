using TorchSharp;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Quantization;

/// <summary>
/// A matrix held in 4 bits a weight as bitsandbytes packs it: row after row, blocks of 64 with one scale each, two codes a byte,
/// the first in the upper half.
/// </summary>
public sealed class Nf4Weight : IDisposable
{
    /// <param name="codes">[⌈n/2⌉] bytes; owned from here on.</param>
    /// <param name="scales">[⌈n/64⌉] float32; owned from here on.</param>
    /// <param name="shape">[out, in]</param>
    /// <param name="type">What the weights were quantised from, and are rounded to when they are dequantised.</param>
    internal Nf4Weight(Tensor codes, Tensor scales, IReadOnlyList<long> shape, ScalarType type)
    {
        (Codes, Scales, Shape, Type) = (codes, scales, shape, type);
        codes.DetachFromDisposeScope();
        scales.DetachFromDisposeScope();
    }

    /// <summary>[⌈n/2⌉] bytes</summary>
    public Tensor Codes { get; }

    /// <summary>The largest magnitude of each block, [⌈n/64⌉] float32.</summary>
    public Tensor Scales { get; }

    /// <summary>[out, in]</summary>
    public IReadOnlyList<long> Shape { get; }

    /// <summary>What the weights were quantised from, and are rounded to when they are dequantised.</summary>
    public ScalarType Type { get; }

    private long Count => Shape.Aggregate(1L, (a, b) => a * b);

    /// <summary>Quantises a matrix of any size; codes, scales and packing are bitsandbytes' exactly.</summary>
    /// <param name="weight">[out, in] float32, float16 or bfloat16, on the CPU</param>
    public static Nf4Weight Quantize(Tensor weight)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (codes, scales) = Nf4Kernel.Quantize(weight.to(ScalarType.Float32).contiguous().view(-1));
        return new Nf4Weight(codes, scales, weight.shape, weight.dtype);
    }

    /// <summary>The weights again, as far as 4 bits keep them.</summary>
    /// <param name="type">Of the result; the weights are rounded to <see cref="Type"/> before.</param>
    /// <returns>[out, in]</returns>
    public Tensor Dequantize(ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var weights = Codes.device_type == DeviceType.CPU
            ? Nf4Kernel.Dequantize(Codes, Scales, Count, Type)
            : DequantizeAnywhere();
        return scope.MoveToOuter(weights.to(type).view([.. Shape]));
    }

    /// <summary>A copy on another device.</summary>
    public Nf4Weight To(Device device)
    {
        using var scope = NewDisposeScope();
        return new Nf4Weight(Codes.to(device, copy: true), Scales.to(device, copy: true), Shape, Type);
    }

    public void Dispose()
    {
        Codes.Dispose();
        Scales.Dispose();
    }

    /// <summary>With libtorch's operations alone.</summary>
    internal Tensor DequantizeAnywhere()
    {
        using var scope = NewDisposeScope();
        var pairs = tensor(Nf4.Levels.SelectMany(upper => Nf4.Levels.SelectMany(lower => new[] { upper, lower })).ToArray(), [256, 2])
            .to(Codes.device); // what a byte stands for
        var levels = pairs.index_select(0, Codes.to(ScalarType.Int32)).view(-1).narrow(0, 0, Count);
        var scales = Scales.repeat_interleave(Nf4.BlockSize).narrow(0, 0, Count);
        return scope.MoveToOuter((levels * scales).to(Type));
    }
}
