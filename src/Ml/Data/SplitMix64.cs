namespace RlhfFunctions.Ml.Data;

/// <summary>
/// A small random number generator whose numbers are part of our promise "same seed, same adapter": unlike System.Random its
/// algorithm cannot change with the runtime. Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
/// </summary>
internal struct SplitMix64(ulong seed)
{
    private ulong _state = seed;

    /// <summary>The next 64 uniformly distributed bits.</summary>
    public ulong Next()
    {
        _state += 0x9E3779B97F4A7C15;
        var bits = _state;
        bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9;
        bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB;
        return bits ^ (bits >> 31);
    }

    /// <summary>A number from 0 to <paramref name="bound"/> − 1. Its bias is below bound / 2⁶⁴: nothing at the sizes of data sets.</summary>
    public int Next(int bound) => (int)Math.BigMul(Next(), (ulong)bound, out _);
}
