using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using RlhfFunctions.Ml.Foundations;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Quantization;

/// <summary>
/// The numbers of 4-bit normal float: 16 levels at the quantiles of a normal distribution (Dettmers et al., arXiv:2305.14314,
/// appendix E), as bitsandbytes spells them.
/// </summary>
internal static class Nf4
{
    /// <summary>Consecutive weights that share a scale.</summary>
    public const int BlockSize = 64;

    /// <summary>What a code stands for, in units of its block's largest magnitude.</summary>
    public static readonly float[] Levels = [.. Enumerable.Range(0, 16).Select(code => LevelVector[code])];

    /// <summary>A value's code is the number of thresholds it is strictly greater than.</summary>
    public static readonly float[] Thresholds =
    [
        -0.8480964004993439f, -0.6106329262256622f, -0.4599952697753906f, -0.33967943489551544f, -0.23460740596055984f,
        -0.13791173323988914f, -0.045525018125772476f, 0.03979014977812767f, 0.1202552504837513f, 0.2035212516784668f,
        0.2920137718319893f, 0.3893125355243683f, 0.5016634166240692f, 0.6427869200706482f, 0.8614784181118011f,
    ];

    private const float SmallestLevel = 0.07958029955625534f; // but for zero, which every rounding keeps
    private const float SmallestNormalHalf = 6.103515625e-5f;

    // Not a field: the compiler knows these numbers wherever they are used, also before anything of this class was.
    private static Vector512<float> LevelVector => Vector512.Create(
        -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
        -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
        0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
        0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f);

    /// <summary>Bytes of the codes of so many weights, two a byte.</summary>
    public static long CodeBytes(long weights) => (weights + 1) / 2;

    /// <summary>Scales of so many weights.</summary>
    public static long Blocks(long weights) => (weights + BlockSize - 1) / BlockSize;

    /// <summary>What the 16 codes of a block stand for: level × scale, rounded once to the type the weights had.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Table(float scale, ScalarType type) => type switch
    {
        ScalarType.Float16 => RoundToHalf(LevelVector * scale, allNormal: scale * SmallestLevel >= SmallestNormalHalf),
        ScalarType.BFloat16 => BFloats.Round(LevelVector * scale),
        _ => LevelVector * scale,
    };

    /// <summary><see cref="Table"/> for weights that were float16, where no level but zero falls below the normal ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> NormalHalfTable(float scale) => RoundToHalf(LevelVector * scale, allNormal: true);

    /// <summary>What the 16 codes stand for as whole numbers, each in the lower 16 bits of 32: to bring them closer together costs more than all the rest.</summary>
    /// <param name="scale">The largest one.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<short> IntegerTable(float scale) =>
        Vector512.FusedMultiplyAdd(LevelVector, Vector512.Create(scale), Vector512.Create(IntegerProducts.Magic)).AsInt16();

    /// <summary>The whole numbers of 32 codes.</summary>
    /// <param name="table">An <see cref="IntegerTable"/>.</param>
    /// <param name="places">Twice the code in the lowest five bits of each lane; what is above them does not count.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<short> Lookup(Vector512<short> table, Vector512<short> places) => Avx512BW.IsSupported
        ? Avx512BW.PermuteVar32x16(table, places)
        : Vector512.Create(LookupSixteen(table, places.GetLower()), LookupSixteen(table, places.GetUpper()));

    /// <summary>As <see cref="LookupByBytes"/>.</summary>
    internal static Vector256<short> LookupSixteen(Vector512<short> table, Vector256<short> places)
    {
        var codes = Vector256.ShiftRightLogical(places.AsUInt16(), 1) & Vector256.Create((ushort)15);
        var bytes = Vector128.Narrow(codes.GetLower(), codes.GetUpper());
        var bits = table.AsUInt32();
        var (low, lowUpper) = Vector128.Widen(Vector128.Shuffle(Bytes(bits & Vector512.Create(0xFFu)), bytes));
        var (high, highUpper) = Vector128.Widen(Vector128.Shuffle(Bytes(Vector512.ShiftRightLogical(bits, 8) & Vector512.Create(0xFFu)), bytes));
        return (Vector256.Create(low, lowUpper) | Vector256.ShiftLeft(Vector256.Create(high, highUpper), 8)).AsInt16();
    }

    /// <summary>Whether <see cref="NormalHalfTable"/> is right for a scale.</summary>
    public static bool IsNormalHalf(float scale) => scale == 0 || scale * SmallestLevel >= SmallestNormalHalf;

    /// <summary>The weights of 16 codes, each in the lowest four bits of its lane; what is above them does not count.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Lookup(Vector512<float> table, Vector512<int> codes) =>
        Avx512F.IsSupported ? Avx512F.PermuteVar16x32(table, codes)
        : Avx2.IsSupported ? Vector512.Create(LookupEight(table, codes.GetLower()), LookupEight(table, codes.GetUpper()))
        : LookupByBytes(table, codes);

    /// <summary>A permutation of 256 bits reads three bits of a code: one of each half of the table, and the fourth bit chooses.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<float> LookupEight(Vector512<float> table, Vector256<int> codes) => Avx.BlendVariable(
        Avx2.PermuteVar8x32(table.GetLower(), codes), Avx2.PermuteVar8x32(table.GetUpper(), codes),
        Vector256.ShiftLeft(codes, 28).AsSingle());

    /// <summary>Where no permutation reads so many bits (ARM, old processors): a shuffle of bytes finds one of sixteen, for each byte of a number apart.</summary>
    internal static Vector512<float> LookupByBytes(Vector512<float> table, Vector512<int> codes)
    {
        var places = Bytes(codes.AsUInt32() & Vector512.Create(15u));
        var bits = table.AsUInt32();
        var values = Vector512<uint>.Zero;
        for (var shift = 0; shift < 32; shift += 8)
        {
            var found = Vector128.Shuffle(Bytes(Vector512.ShiftRightLogical(bits, shift) & Vector512.Create(0xFFu)), places);
            var (lower, upper) = Vector128.Widen(found);
            var (lowest, low) = Vector128.Widen(lower);
            var (high, highest) = Vector128.Widen(upper);
            values |= Vector512.ShiftLeft(Vector512.Create(Vector256.Create(lowest, low), Vector256.Create(high, highest)), shift);
        }
        return values.AsSingle();
    }

    /// <summary>Sixteen numbers below 256 as bytes.</summary>
    private static Vector128<byte> Bytes(Vector512<uint> numbers)
    {
        var halves = Vector256.Narrow(numbers.GetLower(), numbers.GetUpper());
        return Vector128.Narrow(halves.GetLower(), halves.GetUpper());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> RoundToHalf(Vector512<float> x, bool allNormal)
    {
        var bits = x.AsUInt32();
        // To nearest, ties to even, on the 10 mantissa bits of a normal half …
        var odd = Vector512.ShiftRightLogical(bits, 13) & Vector512.Create(1u);
        var normal = ((bits + Vector512.Create(0xFFFu) + odd) & Vector512.Create(~0x1FFFu)).AsSingle();
        if (allNormal)
            return normal;
        // … and on multiples of 2⁻²⁴ below 2⁻¹⁴: that is the spacing of floats from a half to one.
        var sign = bits & Vector512.Create(0x8000_0000u);
        var small = (((Vector512.Abs(x) + Vector512.Create(0.5f)) - Vector512.Create(0.5f)).AsUInt32() | sign).AsSingle();
        return Vector512.ConditionalSelect(Vector512.LessThan(Vector512.Abs(x), Vector512.Create(SmallestNormalHalf)), small, normal);
    }
}
