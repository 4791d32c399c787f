namespace RlhfFunctions.Samples.Make;

/// <summary>
/// A small random generator (SplitMix64) whose draws are ours to promise: the same seed gives the same bytes on every
/// machine and every .NET version. Each use takes its own dice by name, so that adding a draw in one place moves no other.
/// </summary>
public sealed class Dice
{
    private ulong _state;

    private Dice(ulong state) => _state = state;

    /// <summary>The dice of one purpose, and of the <paramref name="index"/>-th thing made for it.</summary>
    public static Dice For(int seed, string purpose, int index = 0)
    {
        var state = 14695981039346656037UL; // FNV-1a over everything that names the draw
        void Mix(uint value)
        {
            for (var shift = 0; shift < 32; shift += 8)
                state = (state ^ ((value >> shift) & 0xFF)) * 1099511628211UL;
        }
        Mix((uint)seed);
        Mix((uint)index);
        foreach (var letter in purpose)
            Mix(letter);
        return new Dice(state);
    }

    private ulong Bits()
    {
        var z = _state += 0x9E3779B97F4A7C15UL;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
        return z ^ (z >> 31);
    }

    /// <summary>Uniform in 0 … <paramref name="count"/> − 1.</summary>
    public int Below(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        return (int)Math.BigMul(Bits(), (ulong)count, out _);
    }

    public bool Chance(double probability) => (Bits() >> 11) * (1.0 / (1UL << 53)) < probability;

    public T Pick<T>(IReadOnlyList<T> choices) => choices[Below(choices.Count)];

    /// <summary>Two different ones.</summary>
    public (T First, T Second) PickTwo<T>(IReadOnlyList<T> choices)
    {
        var first = Below(choices.Count);
        var second = Below(choices.Count - 1);
        return (choices[first], choices[second < first ? second : second + 1]);
    }

    public T[] Shuffled<T>(IEnumerable<T> items)
    {
        var result = items.ToArray();
        for (var i = result.Length - 1; i > 0; i--)
        {
            var j = Below(i + 1);
            (result[i], result[j]) = (result[j], result[i]);
        }
        return result;
    }
}
