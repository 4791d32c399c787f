using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace RlhfFunctions.Ml.Foundations;

/// <summary>How hidden states are held in memory, sixteen at a time: known to the loops when they are compiled.</summary>
/// <typeparam name="T">One number.</typeparam>
internal unsafe interface INumbers<T>
    where T : unmanaged
{
    /// <summary>As float32.</summary>
    static abstract Vector512<float> Load(T* from);

    /// <summary>Rounded, ties to even.</summary>
    static abstract void Store(Vector512<float> numbers, T* to);

    /// <summary>What <see cref="Store"/> would keep of them.</summary>
    static abstract Vector512<float> Round(Vector512<float> numbers);
}

internal readonly unsafe struct Singles : INumbers<float>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* from) => Vector512.Load(from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> numbers, float* to) => numbers.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Round(Vector512<float> numbers) => numbers;
}

/// <summary>A bfloat16 is the upper half of a float.</summary>
internal readonly unsafe struct BFloats : INumbers<ushort>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(ushort* from)
    {
        var halves = Vector256.Load(from);
        if (Avx512F.IsSupported)
            return Vector512.ShiftLeft(Avx512F.ConvertToVector512UInt32(halves), 16).AsSingle();
        var (lower, upper) = Vector256.Widen(halves);
        return Vector512.ShiftLeft(Vector512.Create(lower, upper), 16).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> numbers, ushort* to) => StoreRounded(Round(numbers), to);

    /// <summary>Of numbers that <see cref="Round"/> has rounded already.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreRounded(Vector512<float> numbers, ushort* to)
    {
        var upper = Vector512.ShiftRightLogical(numbers.AsUInt32(), 16);
        var halves = Avx512F.IsSupported
            ? Avx512F.ConvertToVector256UInt16(upper)
            : Vector256.Narrow(upper.GetLower(), upper.GetUpper());
        halves.Store(to);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Round(Vector512<float> numbers)
    {
        var bits = numbers.AsUInt32();
        var odd = Vector512.ShiftRightLogical(bits, 16) & Vector512.Create(1u);
        return ((bits + Vector512.Create(0x7FFFu) + odd) & Vector512.Create(0xFFFF_0000u)).AsSingle();
    }
}
