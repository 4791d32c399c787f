using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using RlhfFunctions.Ml.Foundations;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Quantization;

/// <summary>
/// A 4-bit matrix on the CPU, its codes laid out for the registers that read them: sixteen numbers of 16 bits a block, the j-th
/// hexadecimal digit of the l-th being the code of weight 16·j + l. A block's 16 possible values fit one 512-bit register, so that a
/// shift and a permutation give 16 consecutive weights.
/// </summary>
internal sealed unsafe class Nf4Rows : WeightRows, IDisposable
{
    private const int Lanes = 16;

    private const int BlocksPerChunk = RowProducts.Chunk / Nf4.BlockSize;

    // What one thread does at least: less is not worth waking another for.
    private const int BlocksPerTask = 4096;

    private readonly Nf4Weight _weight;
    private readonly ushort* _codes;
    private readonly float* _scales;
    private readonly ScalarType _type;
    private readonly bool _isNormalHalf;
    private readonly float[] _largest; // [out, chunks], of the scales

    /// <param name="weight">
    /// Whole blocks a row; owned from here on, and laid out anew in place: the memory exists once.
    /// </param>
    public Nf4Rows(Nf4Weight weight)
        : base((int)weight.Shape[0], (int)weight.Shape[1])
    {
        if (!Fits(weight))
            throw new ArgumentException($"Rows of {Inputs} weights are no whole blocks of {Nf4.BlockSize}.", nameof(weight));
        _weight = weight;
        _codes = Memory.Of<ushort>(weight.Codes);
        _scales = Memory.Of<float>(weight.Scales);
        _type = weight.Type;
        _isNormalHalf = _type == ScalarType.Float16 && !new ReadOnlySpan<float>(_scales, (int)weight.Scales.shape[0]).ToArray().Any(s => !Nf4.IsNormalHalf(s));
        _largest = new float[Outputs * Chunks];
        for (var row = 0; row < Outputs; row++)
            for (var block = 0; block < Blocks; block++)
            {
                ref var largest = ref _largest[(row * Chunks) + (block / BlocksPerChunk)];
                largest = Math.Max(largest, _scales[((long)row * Blocks) + block]);
            }
        for (var block = 0L; block < weight.Scales.shape[0]; block++)
            Interleave(_codes + (block * Lanes));
    }

    private Nf4Rows(Nf4Rows shared)
        : base(shared.Outputs, shared.Inputs)
    {
        _weight = shared._weight.Share();
        _codes = shared._codes;
        _scales = shared._scales;
        (_type, _isNormalHalf, _largest) = (shared._type, shared._isNormalHalf, shared._largest);
    }

    /// <summary>The same bytes once more; they are freed when both are disposed.</summary>
    public Nf4Rows Share() => new(this);

    /// <summary>Whether a weight's blocks end where its rows do.</summary>
    public static bool Fits(Nf4Weight weight) => weight.Shape[1] % Nf4.BlockSize == 0;

    private int Blocks => Inputs / Nf4.BlockSize;

    private int Chunks => (Blocks + BlocksPerChunk - 1) / BlocksPerChunk;

    public override float* Read(int first, int count, int column, int length, float* scratch, out int stride)
    {
        stride = RowProducts.Stride;
        Prefetch(first, count, column, length);
        for (var row = 0; row < count; row++)
        {
            var block = ((long)(first + row) * Blocks) + (column / Nf4.BlockSize);
            var to = scratch + (row * stride);
            if (_isNormalHalf)
                Decode<NormalHalf>(block, length / Nf4.BlockSize, to);
            else
                Decode<AnyType>(block, length / Nf4.BlockSize, to);
        }
        return scratch;
    }

    public override bool AddFour(float* x, int first, float* y)
    {
        if (_isNormalHalf)
            AddFour<NormalHalf>(x, first, y);
        else
            AddFour<AnyType>(x, first, y);
        return true;
    }

    /// <summary>
    /// Some rows as whole multiples of an 8191st of their largest scale, in the order of <see cref="IntegerProducts"/>: of a block's 64
    /// weights first each of the first sixteen beside the one 32 further on, then those of the second sixteen.
    /// </summary>
    /// <param name="first">The first row.</param>
    /// <param name="count">Rows, at most <see cref="RowProducts.Group"/>; the others' places are filled with zeros.</param>
    /// <param name="column">The first column, a multiple of <see cref="RowProducts.Chunk"/>.</param>
    /// <param name="length">Columns, at most <see cref="RowProducts.Chunk"/>.</param>
    /// <param name="to">Room for <see cref="RowProducts.Group"/> × <see cref="IntegerProducts.Stride"/> numbers.</param>
    /// <param name="units">What one is worth, for each row.</param>
    public void ReadIntegers(int first, int count, int column, int length, short* to, float* units)
    {
        Prefetch(first, count, column, length);
        for (var row = 0; row < RowProducts.Group; row++, to += IntegerProducts.Stride)
        {
            if (row >= count)
            {
                new Span<short>(to, length).Clear();
                units[row] = 0;
                continue;
            }
            var block = ((long)(first + row) * Blocks) + (column / Nf4.BlockSize);
            var ratio = Ratio(first + row, column, out units[row]);
            for (var i = 0; i < length; i += Nf4.BlockSize, block++)
            {
                var (weights, others) = Integers(block, ratio);
                weights.Store(to + i);
                others.Store(to + i + 32);
            }
        }
    }

    /// <summary>The sums of one row's products with four rows of the weight, which are not decoded to memory first: for one row alone that is half the work.</summary>
    /// <param name="x">Whole numbers in the order of <see cref="IntegerProducts"/>.</param>
    /// <param name="first">The first row of the weight.</param>
    /// <param name="column">The first column, a multiple of <see cref="RowProducts.Chunk"/>.</param>
    /// <param name="length">Columns, at most <see cref="RowProducts.Chunk"/>.</param>
    /// <param name="units">What one is worth, for each of the four.</param>
    public (Vector512<int> A, Vector512<int> B, Vector512<int> C, Vector512<int> D) MultiplyFour(short* x, int first, int column, int length, float* units)
    {
        var a = ((long)first * Blocks) + (column / Nf4.BlockSize);
        long b = a + Blocks, c = b + Blocks, d = c + Blocks;
        var (ratioA, ratioB) = (Ratio(first, column, out units[0]), Ratio(first + 1, column, out units[1]));
        var (ratioC, ratioD) = (Ratio(first + 2, column, out units[2]), Ratio(first + 3, column, out units[3]));
        Vector512<int> sumsA = default, sumsB = default, sumsC = default, sumsD = default;
        for (var end = x + length; x < end; x += Nf4.BlockSize)
        {
            if (Sse.IsSupported) // the four rows after these, which lie behind them
            {
                var ahead = _codes + (4 * (long)Blocks * Lanes);
                Sse.Prefetch0(ahead + (a * Lanes));
                Sse.Prefetch0(ahead + (b * Lanes));
                Sse.Prefetch0(ahead + (c * Lanes));
                Sse.Prefetch0(ahead + (d * Lanes));
            }
            var (u, v) = (Vector512.Load(x), Vector512.Load(x + 32));
            sumsA = AddBlock(a++, ratioA, u, v, sumsA);
            sumsB = AddBlock(b++, ratioB, u, v, sumsB);
            sumsC = AddBlock(c++, ratioC, u, v, sumsC);
            sumsD = AddBlock(d++, ratioD, u, v, sumsD);
        }
        return (sumsA, sumsB, sumsC, sumsD);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector512<int> AddBlock(long block, float ratio, Vector512<short> u, Vector512<short> v, Vector512<int> sums)
    {
        var (weights, others) = Integers(block, ratio);
        return sums + IntegerProducts.Products(u, weights) + IntegerProducts.Products(v, others);
    }

    /// <summary>What turns a scale into whole numbers in a chunk of a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private float Ratio(int row, int column, out float unit)
    {
        var largest = _largest[(row * Chunks) + (column / RowProducts.Chunk)];
        unit = largest / IntegerProducts.Largest;
        return largest > 0 ? IntegerProducts.Largest / largest : 0;
    }

    /// <summary>A block's weights as whole numbers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private (Vector512<short> First, Vector512<short> Second) Integers(long block, float ratio)
    {
        var table = Nf4.IntegerTable(_scales[block] * ratio);
        var codes = Vector256.Load((byte*)(_codes + (block * Lanes)));
        var pairs = Avx512BW.IsSupported
            ? Avx512BW.ConvertToVector512Int16(codes)
            : Vector512.Create(Vector256.WidenLower(codes), Vector256.WidenUpper(codes)).AsInt16();
        return (
            Nf4.Lookup(table, Vector512.ShiftLeft(pairs, 1)),
            Nf4.Lookup(table, Vector512.ShiftRightLogical(pairs, 3) & Vector512.Create((short)30)));
    }

    /// <summary>Some rows as numbers, on as many threads as libtorch would use.</summary>
    /// <param name="first">The first row.</param>
    /// <param name="rows">[count, in] float32 or bfloat16, overwritten.</param>
    public void Read(long first, Tensor rows)
    {
        var (count, isSingle) = ((int)rows.shape[0], rows.dtype == ScalarType.Float32);
        var to = Memory.Of<byte>(rows);
        Threads.ForRanges(count, Math.Max(1, BlocksPerTask / Blocks), (from, end) =>
        {
            var place = (long)from * Inputs;
            if (isSingle)
                Decode<AnyType>((first + from) * Blocks, (end - from) * Blocks, (float*)to + place);
            else
                ReadBFloat16(first + from, end - from, (ushort*)to + place);
        });
    }

    public void Dispose() => _weight.Dispose();

    /// <summary>Rounded to bfloat16 as libtorch does it.</summary>
    private void ReadBFloat16(long first, int count, ushort* to)
    {
        var block = first * Blocks;
        for (var end = block + ((long)count * Blocks); block < end; block++, to += Nf4.BlockSize)
        {
            var table = BFloats.Round(Nf4.Table(_scales[block], _type));
            var codes = Codes(block);
            for (var digit = 0; digit < Nf4.BlockSize / Lanes; digit++)
                BFloats.StoreRounded(Nf4.Lookup(table, Vector512.ShiftRightLogical(codes, 4 * digit)), to + (digit * Lanes));
        }
    }

    /// <summary>Asks for the codes that will be read next: pieces of rows are too short for the machine to see the pattern.</summary>
    private void Prefetch(int first, int count, int column, int length)
    {
        var isRowsEnd = column + length == Inputs;
        var block = ((long)(isRowsEnd ? first + count : first) * Blocks) + (isRowsEnd ? 0 : (column + length) / Nf4.BlockSize);
        for (var row = 0; row < count && Sse.IsSupported; row++, block += Blocks)
        {
            Sse.Prefetch0(_scales + block);
            for (var ahead = 0; ahead < RowProducts.Chunk / Nf4.BlockSize; ahead += 2)
                Sse.Prefetch0(_codes + ((block + ahead) * Lanes)); // two blocks a cache line
        }
    }

    private void Decode<TRounding>(long block, int count, float* to)
        where TRounding : IRounding
    {
        for (var end = block + count; block < end; block++, to += Nf4.BlockSize)
        {
            var table = TRounding.Table(_scales[block], _type);
            var codes = Codes(block);
            Nf4.Lookup(table, codes).Store(to);
            Nf4.Lookup(table, Vector512.ShiftRightLogical(codes, 4)).Store(to + Lanes);
            Nf4.Lookup(table, Vector512.ShiftRightLogical(codes, 8)).Store(to + (2 * Lanes));
            Nf4.Lookup(table, Vector512.ShiftRightLogical(codes, 12)).Store(to + (3 * Lanes));
        }
    }

    private void AddFour<TRounding>(float* x, int first, float* y)
        where TRounding : IRounding
    {
        var blocks = Blocks;
        long a = (long)first * blocks, b = a + blocks, c = b + blocks, d = c + blocks;
        for (var block = 0; block < blocks;)
        {
            Vector512<float> sumsA = default, sumsB = default, sumsC = default, sumsD = default;
            for (var end = Math.Min(blocks, block + (RowProducts.Chunk / Nf4.BlockSize)); block < end; block++, x += Nf4.BlockSize)
            {
                var (x0, x1) = (Vector512.Load(x), Vector512.Load(x + Lanes));
                var (x2, x3) = (Vector512.Load(x + (2 * Lanes)), Vector512.Load(x + (3 * Lanes)));
                sumsA = AddBlock<TRounding>(a + block, x0, x1, x2, x3, sumsA);
                sumsB = AddBlock<TRounding>(b + block, x0, x1, x2, x3, sumsB);
                sumsC = AddBlock<TRounding>(c + block, x0, x1, x2, x3, sumsC);
                sumsD = AddBlock<TRounding>(d + block, x0, x1, x2, x3, sumsD);
            }
            (Vector128.Load(y) + RowProducts.Fours(sumsA, sumsB, sumsC, sumsD)).Store(y);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector512<float> AddBlock<TRounding>(
        long block, Vector512<float> x0, Vector512<float> x1, Vector512<float> x2, Vector512<float> x3, Vector512<float> sums)
        where TRounding : IRounding
    {
        var table = TRounding.Table(_scales[block], _type);
        var codes = Codes(block);
        sums = Vector512.FusedMultiplyAdd(x0, Nf4.Lookup(table, codes), sums);
        sums = Vector512.FusedMultiplyAdd(x1, Nf4.Lookup(table, Vector512.ShiftRightLogical(codes, 4)), sums);
        sums = Vector512.FusedMultiplyAdd(x2, Nf4.Lookup(table, Vector512.ShiftRightLogical(codes, 8)), sums);
        return Vector512.FusedMultiplyAdd(x3, Nf4.Lookup(table, Vector512.ShiftRightLogical(codes, 12)), sums);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector512<int> Codes(long block)
    {
        var codes = Vector256.Load(_codes + (block * Lanes));
        if (Avx512F.IsSupported)
            return Avx512F.ConvertToVector512Int32(codes);
        var (lower, upper) = Vector256.Widen(codes);
        return Vector512.Create(lower, upper).AsInt32();
    }

    /// <summary>From two neighbours a byte, the first in the upper half, as bitsandbytes has them.</summary>
    private static void Interleave(ushort* block)
    {
        var pairs = stackalloc byte[Nf4.BlockSize / 2];
        Unsafe.CopyBlock(pairs, block, Nf4.BlockSize / 2);
        new Span<ushort>(block, Lanes).Clear();
        for (var i = 0; i < Nf4.BlockSize; i++)
            block[i % Lanes] |= (ushort)(((pairs[i / 2] >> (i % 2 == 0 ? 4 : 0)) & 15) << (4 * (i / Lanes)));
    }

    /// <summary>How a block's 16 values are rounded: known to the loops when they are compiled.</summary>
    private interface IRounding
    {
        static abstract Vector512<float> Table(float scale, ScalarType type);
    }

    private readonly struct NormalHalf : IRounding
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Table(float scale, ScalarType type) => Nf4.NormalHalfTable(scale);
    }

    private readonly struct AnyType : IRounding
    {
        public static Vector512<float> Table(float scale, ScalarType type) => Nf4.Table(scale, type);
    }
}
