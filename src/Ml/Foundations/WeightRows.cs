using System.Runtime.Intrinsics;
using TorchSharp;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Foundations;

/// <summary>The rows of a weight [out, in] on the CPU, read as float32 however they are held. Immutable: threads may share it.</summary>
internal abstract unsafe class WeightRows(int outputs, int inputs)
{
    public int Outputs { get; } = outputs;

    public int Inputs { get; } = inputs;

    /// <summary>Where a part of some rows stands as float32: in the weight itself, or decoded.</summary>
    /// <param name="first">The first row.</param>
    /// <param name="count">Rows, at most <see cref="RowProducts.Group"/>.</param>
    /// <param name="column">The first column; a multiple of <see cref="RowProducts.Chunk"/>.</param>
    /// <param name="length">Columns, at most <see cref="RowProducts.Chunk"/>.</param>
    /// <param name="scratch">Room for <see cref="RowProducts.Group"/> × <see cref="RowProducts.Stride"/> numbers.</param>
    /// <param name="stride">Numbers between one row and the next.</param>
    public abstract float* Read(int first, int count, int column, int length, float* scratch, out int stride);

    /// <summary>
    /// y[n − first] += x·w_n of the rows first to first + 3, for a weight that can do so without decoding them to memory first;
    /// the sums are taken in the order of <see cref="RowProducts"/>.
    /// </summary>
    /// <returns>Whether it can.</returns>
    public virtual bool AddFour(float* x, int first, float* y) => false;

    /// <summary>Whether <see cref="Of"/> can read a weight.</summary>
    public static bool CanRead(Tensor weight) =>
        weight.device_type == DeviceType.CPU && weight.is_contiguous() && weight.dtype is ScalarType.Float32 or ScalarType.BFloat16;

    /// <summary>A weight held as numbers; it stays the caller's.</summary>
    /// <param name="weight">[out, in] float32 or bfloat16, contiguous, on the CPU.</param>
    public static WeightRows Of(Tensor weight)
    {
        var (outputs, inputs) = ((int)weight.shape[0], (int)weight.shape[1]);
        return weight.dtype switch
        {
            ScalarType.Float32 => new SingleRows(weight, outputs, inputs),
            ScalarType.BFloat16 => new BFloat16Rows(weight, outputs, inputs),
            _ => throw new NotSupportedException($"Rows of {weight.dtype} are not read."),
        };
    }

    private sealed class SingleRows(Tensor owner, int outputs, int inputs) : WeightRows(outputs, inputs)
    {
        private readonly float* _weight = Memory.Of<float>(owner);

        /// <summary>Held, or its memory would be freed.</summary>
        public Tensor Owner { get; } = owner;

        public override float* Read(int first, int count, int column, int length, float* scratch, out int stride)
        {
            stride = Inputs;
            return _weight + ((long)first * Inputs) + column;
        }
    }

    private sealed class BFloat16Rows(Tensor owner, int outputs, int inputs) : WeightRows(outputs, inputs)
    {
        private readonly ushort* _weight = Memory.Of<ushort>(owner);

        public Tensor Owner { get; } = owner;

        public override float* Read(int first, int count, int column, int length, float* scratch, out int stride)
        {
            stride = RowProducts.Stride;
            for (var row = 0; row < count; row++)
                Widen(_weight + ((long)(first + row) * Inputs) + column, scratch + (row * stride), length);
            return scratch;
        }

        /// <summary>A bfloat16 is the upper half of a float.</summary>
        private static void Widen(ushort* from, float* to, int length)
        {
            var i = 0;
            for (; i + 16 <= length; i += 16)
            {
                var (lower, upper) = Vector256.Widen(Vector256.Load(from + i));
                Vector512.ShiftLeft(Vector512.Create(lower, upper), 16).AsSingle().Store(to + i);
            }
            for (; i < length; i++)
                to[i] = BitConverter.UInt32BitsToSingle((uint)from[i] << 16);
        }
    }
}
