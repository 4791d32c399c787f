using System.Text;

namespace RlhfFunctions.Ml.Foundations;

/// <summary>
/// Random numbers without a state: every draw is a hash of what it is for. A draw therefore depends neither on the draws before
/// it, nor on the machine, the shard or the batch that happens to ask for it.
/// </summary>
/// <remarks>
/// The hash is SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014): a key is the
/// run seed into which the stage's UTF-8 bytes and then the coordinates are absorbed one by one, each by xor, one Weyl increment
/// and the finaliser; draw i of a key is output i of the SplitMix64 generator seeded with that key.
/// These numbers are part of the file format of a run: changing them changes what a seed means.
/// </remarks>
public static class Seeds
{
    private const ulong WeylIncrement = 0x9E3779B97F4A7C15;

    /// <summary>The key of one purpose: a stage of a run and up to three coordinates in it, such as step and sample.</summary>
    public static ulong Derive(ulong runSeed, string stage, long a = 0, long b = 0, long c = 0)
    {
        var key = Finalise(runSeed + WeylIncrement);
        foreach (var letter in Encoding.UTF8.GetBytes(stage))
            key = Absorb(key, letter);
        return Absorb(Absorb(Absorb(key, (ulong)a), (ulong)b), (ulong)c);
    }

    /// <summary>Draw <paramref name="index"/> of a key: uniform on [0, 1), a multiple of 2⁻⁵³.</summary>
    public static double Uniform(ulong key, long index) => (Finalise(key + (((ulong)index + 1) * WeylIncrement)) >> 11) * (1.0 / (1UL << 53));

    /// <summary>A uniformly random order of 0 … count − 1 (Fisher and Yates).</summary>
    public static int[] Permutation(ulong key, int count)
    {
        var order = Enumerable.Range(0, count).ToArray();
        for (var last = count - 1; last > 0; last--)
        {
            var other = (int)(Uniform(key, last) * (last + 1));
            (order[last], order[other]) = (order[other], order[last]);
        }
        return order;
    }

    private static ulong Absorb(ulong key, ulong value) => Finalise((key ^ value) + WeylIncrement);

    private static ulong Finalise(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
