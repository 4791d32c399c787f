using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using RlhfFunctions.Ml.Foundations;

namespace RlhfFunctions.Ml.Quantization;

/// <summary>
/// y += x·Wᵀ for 4-bit weights in whole numbers of 14 bits: twice as many products an instruction as in float32, and half the bytes to
/// write and read again of a weight that was decoded. A chunk of 512 columns of a row, of x as of W, is rounded to whole multiples of an
/// 8191st of its largest magnitude, which is at least as fine as bfloat16 for what is larger than a 32nd of that; sums within a chunk
/// are exact, and the chunks' sums are added in order. As with <see cref="RowProducts"/>, a row's result depends on that row alone, to the
/// last bit, and on no machine's instruction set.
/// </summary>
internal static unsafe class IntegerProducts
{
    /// <summary>The largest whole number. A chunk's 32 products of a lane fit 32 bits: 32 · 8191² &lt; 2³¹.</summary>
    public const float Largest = 8191;

    /// <summary>Added to a number of less than 2²², it leaves the nearest whole number, ties to even, in the lowest 16 bits.</summary>
    public const float Magic = 12_582_912; // 1.5 · 2²³

    private const int Group = RowProducts.Group;
    private const int Chunk = RowProducts.Chunk;

    /// <summary>From one decoded row to the next: see <see cref="RowProducts.Stride"/>.</summary>
    public const int Stride = Chunk + 32;

    private const int Lanes = 16;

    /// <summary>Numbers of 16 bits that the rows of x take up.</summary>
    public static int RoomFor(int rows, int inputs) => rows * ((inputs + Chunk - 1) / Chunk) * (Chunk + 2);

    /// <summary>Adds the products with some outputs.</summary>
    /// <param name="x">[rows, in]</param>
    /// <param name="rows">Rows of x.</param>
    /// <param name="weight">[out, in]</param>
    /// <param name="y">[rows, out]</param>
    /// <param name="first">The first output computed.</param>
    /// <param name="end">The first output not computed.</param>
    /// <param name="room">For <see cref="RoomFor"/> numbers; overwritten.</param>
    public static void Add(float* x, int rows, Nf4Rows weight, float* y, int first, int end, short* room)
    {
        var (inputs, outputs) = (weight.Inputs, weight.Outputs);
        var chunks = (inputs + Chunk - 1) / Chunk;
        var scales = (float*)(room + ((long)rows * chunks * Chunk)); // [rows, chunks]
        Round(x, rows, inputs, room, scales);
        var scratch = stackalloc short[(Group * Stride) + 32];
        scratch = (short*)(((nint)scratch + 63) & ~63);
        var weightScales = stackalloc float[Group];
        // One row alone: four rows of the weight are read from end to end, which is as fast as memory gives them.
        for (; rows == 1 && first + 4 <= end; first += 4)
            for (var chunk = 0; chunk < chunks; chunk++)
            {
                var length = Math.Min(Chunk, inputs - (chunk * Chunk));
                var (a, b, c, d) = weight.MultiplyFour(room + ((long)chunk * Chunk), first, chunk * Chunk, length, weightScales);
                var sums = RowProducts.Fours(
                    Vector512.ConvertToSingle(a), Vector512.ConvertToSingle(b), Vector512.ConvertToSingle(c), Vector512.ConvertToSingle(d));
                (Vector128.Load(y + first) + (sums * (Vector128.Load(weightScales) * scales[chunk]))).Store(y + first);
            }
        for (var group = first; group < end; group += Group)
        {
            var count = Math.Min(Group, end - group);
            for (var chunk = 0; chunk < chunks; chunk++)
            {
                var length = Math.Min(Chunk, inputs - (chunk * Chunk));
                weight.ReadIntegers(group, count, chunk * Chunk, length, scratch, weightScales);
                var scale = Vector256.Load(weightScales);
                var from = room + ((long)chunk * rows * Chunk);
                var row = 0;
                for (; row + 2 <= rows; row += 2)
                    Two(from + ((long)row * Chunk), scratch, length, count, scale, scales + (chunk * rows) + row, y + ((long)row * outputs) + group, outputs);
                if (row < rows)
                    One(from + ((long)row * Chunk), scratch, length, count, scale, scales[(chunk * rows) + row], y + ((long)row * outputs) + group);
            }
        }
    }

    /// <summary>[chunks, rows, 512] whole numbers in the order in which codes are decoded, and [chunks, rows] what one is worth.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Round(float* x, int rows, int inputs, short* to, float* scales)
    {
        for (var column = 0; column < inputs; column += Chunk)
        {
            var length = Math.Min(Chunk, inputs - column);
            for (var row = 0; row < rows; row++, to += Chunk, scales++)
            {
                var from = x + ((long)row * inputs) + column;
                var largest = Vector512<float>.Zero;
                for (var i = 0; i < length; i += Lanes)
                    largest = Vector512.Max(largest, Vector512.Abs(Vector512.Load(from + i)));
                var most = LargestOf(largest);
                *scales = most / Largest;
                var ratio = Vector512.Create(most > 0 ? Largest / most : 0);
                for (var i = 0; i < length; i += Nf4.BlockSize)
                {
                    Pair(from + i, ratio).Store((int*)(to + i));
                    Pair(from + i + Lanes, ratio).Store((int*)(to + i + 32));
                }
            }
        }
    }

    /// <summary>Sixteen columns, each beside the one 32 further on.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Pair(float* from, Vector512<float> ratio)
    {
        var magic = Vector512.Create(Magic);
        var lower = Vector512.FusedMultiplyAdd(Vector512.Load(from), ratio, magic).AsInt32();
        var upper = Vector512.FusedMultiplyAdd(Vector512.Load(from + 32), ratio, magic).AsInt32();
        return (lower & Vector512.Create(0xFFFF)) | Vector512.ShiftLeft(upper, 16);
    }

    private static float LargestOf(Vector512<float> values)
    {
        var half = Vector256.Max(values.GetLower(), values.GetUpper());
        var quarter = Vector128.Max(half.GetLower(), half.GetUpper());
        return Math.Max(Math.Max(quarter[0], quarter[1]), Math.Max(quarter[2], quarter[3]));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<int> Products(Vector512<short> x, Vector512<short> w) =>
        Avx512BW.IsSupported ? Avx512BW.MultiplyAddAdjacent(x, w)
        : Avx2.IsSupported ? Vector512.Create(Avx2.MultiplyAddAdjacent(x.GetLower(), w.GetLower()), Avx2.MultiplyAddAdjacent(x.GetUpper(), w.GetUpper()))
        : ProductsOfHalves(x.AsInt32(), w.AsInt32());

    /// <summary>The lower halves' product and the upper halves'.</summary>
    internal static Vector512<int> ProductsOfHalves(Vector512<int> x, Vector512<int> w) =>
        (Vector512.ShiftRightArithmetic(Vector512.ShiftLeft(x, 16), 16) * Vector512.ShiftRightArithmetic(Vector512.ShiftLeft(w, 16), 16))
        + (Vector512.ShiftRightArithmetic(x, 16) * Vector512.ShiftRightArithmetic(w, 16));

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Two(short* x, short* w, int length, int count, Vector256<float> weightScales, float* scales, float* y, int outputs)
    {
        var x1 = x + Chunk;
        Vector512<int> a0 = default, b0 = default, c0 = default, d0 = default, e0 = default, f0 = default, g0 = default, h0 = default;
        Vector512<int> a1 = default, b1 = default, c1 = default, d1 = default, e1 = default, f1 = default, g1 = default, h1 = default;
        for (var k = 0; k < length; k += 32, w += 32)
        {
            var (u, v) = (Vector512.Load(x + k), Vector512.Load(x1 + k));
            var weight = Vector512.Load(w);
            a0 += Products(u, weight);
            a1 += Products(v, weight);
            weight = Vector512.Load(w + Stride);
            b0 += Products(u, weight);
            b1 += Products(v, weight);
            weight = Vector512.Load(w + (2 * Stride));
            c0 += Products(u, weight);
            c1 += Products(v, weight);
            weight = Vector512.Load(w + (3 * Stride));
            d0 += Products(u, weight);
            d1 += Products(v, weight);
            weight = Vector512.Load(w + (4 * Stride));
            e0 += Products(u, weight);
            e1 += Products(v, weight);
            weight = Vector512.Load(w + (5 * Stride));
            f0 += Products(u, weight);
            f1 += Products(v, weight);
            weight = Vector512.Load(w + (6 * Stride));
            g0 += Products(u, weight);
            g1 += Products(v, weight);
            weight = Vector512.Load(w + (7 * Stride));
            h0 += Products(u, weight);
            h1 += Products(v, weight);
        }
        // Both before the first call: see RowProducts.
        var (sums0, sums1) = (Sums(a0, b0, c0, d0, e0, f0, g0, h0), Sums(a1, b1, c1, d1, e1, f1, g1, h1));
        Finish(sums0 * (weightScales * scales[0]), y, count);
        Finish(sums1 * (weightScales * scales[1]), y + outputs, count);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void One(short* x, short* w, int length, int count, Vector256<float> weightScales, float scale, float* y)
    {
        Vector512<int> a = default, b = default, c = default, d = default, e = default, f = default, g = default, h = default;
        for (var k = 0; k < length; k += 32, w += 32)
        {
            var u = Vector512.Load(x + k);
            a += Products(u, Vector512.Load(w));
            b += Products(u, Vector512.Load(w + Stride));
            c += Products(u, Vector512.Load(w + (2 * Stride)));
            d += Products(u, Vector512.Load(w + (3 * Stride)));
            e += Products(u, Vector512.Load(w + (4 * Stride)));
            f += Products(u, Vector512.Load(w + (5 * Stride)));
            g += Products(u, Vector512.Load(w + (6 * Stride)));
            h += Products(u, Vector512.Load(w + (7 * Stride)));
        }
        Finish(Sums(a, b, c, d, e, f, g, h) * (weightScales * scale), y, count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Sums(
        Vector512<int> a, Vector512<int> b, Vector512<int> c, Vector512<int> d, Vector512<int> e, Vector512<int> f, Vector512<int> g, Vector512<int> h) =>
        RowProducts.Sums(
            Vector512.ConvertToSingle(a), Vector512.ConvertToSingle(b), Vector512.ConvertToSingle(c), Vector512.ConvertToSingle(d),
            Vector512.ConvertToSingle(e), Vector512.ConvertToSingle(f), Vector512.ConvertToSingle(g), Vector512.ConvertToSingle(h));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish(Vector256<float> sums, float* y, int count)
    {
        if (count == Group)
        {
            (Vector256.Load(y) + sums).Store(y);
            return;
        }
        for (var i = 0; i < count; i++)
            y[i] += sums[i];
    }
}
