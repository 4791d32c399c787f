using RlhfFunctions.Ml.Foundations;

namespace RlhfFunctions.Samples.Make;

/// <summary>
/// The draws of one purpose, one after the other, from the project's own random numbers: the same seed gives the same bytes on
/// every machine. Each use takes its own dice by name, so that a draw added in one place moves no other.
/// </summary>
public sealed class Dice
{
    private readonly ulong _key;
    private long _draws;

    private Dice(ulong key) => _key = key;

    /// <summary>The dice of one purpose, and of the <paramref name="index"/>-th thing made for it.</summary>
    public static Dice For(int seed, string purpose, int index = 0) => new(Seeds.Derive((ulong)seed, purpose, index));

    /// <summary>Uniform in [0, 1).</summary>
    private double Next() => Seeds.Uniform(_key, _draws++);

    /// <summary>Uniform in 0 … <paramref name="count"/> − 1.</summary>
    public int Below(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        return (int)(Next() * count);
    }

    public bool Chance(double probability) => Next() < probability;

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
        for (var last = result.Length - 1; last > 0; last--)
        {
            var other = Below(last + 1);
            (result[last], result[other]) = (result[other], result[last]);
        }
        return result;
    }
}
