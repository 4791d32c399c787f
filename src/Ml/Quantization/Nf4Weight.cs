using System.Collections.Concurrent;
using TorchSharp;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Quantization;

/// <summary>
/// A matrix held in 4 bits a weight as bitsandbytes packs it: row after row, blocks of 64 with one scale each, two codes a byte,
/// the first in the upper half.
/// </summary>
public sealed class Nf4Weight : IDisposable
{
    private static readonly ConcurrentDictionary<string, Tensor> Pairs = new();

    // Weights quantised at a time, whole blocks. Whatever is large and short-lived leaves a large hole in the heap.
    private const long PieceLength = 1 << 20;

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
        var flat = weight.contiguous().view(-1);
        return Quantize(weight.shape, weight.dtype, (start, piece) => piece.copy_(flat.narrow(0, start, piece.shape[0])));
    }

    /// <summary>Quantises a matrix that comes piece by piece: it is never in memory as a whole.</summary>
    /// <param name="shape">[out, in]</param>
    /// <param name="type">float32, float16 or bfloat16: what it is quantised from.</param>
    /// <param name="read">Fills a piece [n] of that type with the numbers from a place on, counted row after row.</param>
    public static Nf4Weight Quantize(IReadOnlyList<long> shape, ScalarType type, Action<long, Tensor> read)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var count = shape.Aggregate(1L, (a, b) => a * b);
        var codes = empty(Nf4.CodeBytes(count), ScalarType.Byte); // [⌈n/2⌉]
        var scales = empty(Nf4.Blocks(count), ScalarType.Float32); // [⌈n/64⌉]
        var piece = empty(Math.Min(count, PieceLength), type);
        var numbers = type == ScalarType.Float32 ? piece : empty(piece.shape, ScalarType.Float32);
        for (var start = 0L; start < count; start += PieceLength)
        {
            using var pieceScope = NewDisposeScope();
            var length = Math.Min(count - start, PieceLength);
            read(start, piece.narrow(0, 0, length));
            if (!ReferenceEquals(numbers, piece))
                numbers.copy_(piece);
            Nf4Kernel.Quantize(
                numbers.narrow(0, 0, length), codes.narrow(0, Nf4.CodeBytes(start), Nf4.CodeBytes(length)),
                scales.narrow(0, Nf4.Blocks(start), Nf4.Blocks(length)));
        }
        return new Nf4Weight(codes, scales, shape, type);
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

    /// <summary>The same bytes once more; they are freed when both are disposed.</summary>
    internal Nf4Weight Share()
    {
        using var scope = NewDisposeScope();
        return new Nf4Weight(Codes.alias(), Scales.alias(), Shape, Type);
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
        var levels = PairsOn(Codes.device).index_select(0, Codes.to(ScalarType.Int32)).view(-1).narrow(0, 0, Count);
        var numbers = Count % Nf4.BlockSize == 0
            ? (levels.view(-1, Nf4.BlockSize) * Scales.unsqueeze(1)).view(-1)
            : levels * Scales.repeat_interleave(Nf4.BlockSize).narrow(0, 0, Count);
        return scope.MoveToOuter(numbers.to(Type));
    }

    /// <summary>What each byte stands for. It stays on the device: to bring it there would wait for all that the device was asked for. [256, 2]</summary>
    private static Tensor PairsOn(Device device) => Pairs.GetOrAdd(device.ToString(), _ =>
        tensor(Nf4.Levels.SelectMany(upper => Nf4.Levels.SelectMany(lower => new[] { upper, lower })).ToArray(), [256, 2]).to(device).DetachFromDisposeScope());
}
