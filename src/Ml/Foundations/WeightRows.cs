using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
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
        private const int Lanes = 16;

        private readonly ushort* _weight = Memory.Of<ushort>(owner);

        public Tensor Owner { get; } = owner;

        public override float* Read(int first, int count, int column, int length, float* scratch, out int stride)
        {
            stride = RowProducts.Stride;
            for (var row = 0; row < count; row++)
                Widen(_weight + ((long)(first + row) * Inputs) + column, scratch + (row * stride), length);
            return scratch;
        }

        /// <summary>Four rows from end to end, as memory gives them fastest, and the four after them asked for in time.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public override bool AddFour(float* x, int first, float* y)
        {
            if (Inputs % Lanes != 0)
                return false;
            ushort* a = _weight + ((long)first * Inputs), b = a + Inputs, c = b + Inputs, d = c + Inputs;
            for (var column = 0; column < Inputs;)
            {
                Vector512<float> sumsA = default, sumsB = default, sumsC = default, sumsD = default;
                for (var end = Math.Min(Inputs, column + RowProducts.Chunk); column < end; column += Lanes)
                {
                    if (Sse.IsSupported && column % 32 == 0) // a cache line
                    {
                        var ahead = column + (4 * (long)Inputs);
                        Sse.Prefetch0(a + ahead);
                        Sse.Prefetch0(b + ahead);
                        Sse.Prefetch0(c + ahead);
                        Sse.Prefetch0(d + ahead);
                    }
                    var u = Vector512.Load(x + column);
                    sumsA = Vector512.FusedMultiplyAdd(u, BFloats.Load(a + column), sumsA);
                    sumsB = Vector512.FusedMultiplyAdd(u, BFloats.Load(b + column), sumsB);
                    sumsC = Vector512.FusedMultiplyAdd(u, BFloats.Load(c + column), sumsC);
                    sumsD = Vector512.FusedMultiplyAdd(u, BFloats.Load(d + column), sumsD);
                }
                (Vector128.Load(y) + RowProducts.Fours(sumsA, sumsB, sumsC, sumsD)).Store(y);
            }
            return true;
        }

        private static void Widen(ushort* from, float* to, int length)
        {
            var i = 0;
            for (; i + Lanes <= length; i += Lanes)
                BFloats.Load(from + i).Store(to + i);
            for (; i < length; i++)
                to[i] = BitConverter.UInt32BitsToSingle((uint)from[i] << 16);
        }
    }
}
