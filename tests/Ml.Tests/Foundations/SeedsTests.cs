using RlhfFunctions.Ml.Foundations;

namespace RlhfFunctions.Ml.Tests;

public class SeedsTests
{
    [Fact]
    public void Draws_are_those_of_SplitMix64()
    {
        // The first outputs of the reference generator seeded with 1234567, scaled to [0, 1).
        ulong[] reference = [6457827717110365317, 3203168211198807973, 9817491932198370423];
        for (var i = 0; i < reference.Length; i++)
            Assert.Equal((reference[i] >> 11) / (double)(1UL << 53), Seeds.Uniform(1234567, i));
    }

    [Fact]
    public void Every_part_of_the_purpose_matters()
    {
        var keys = new HashSet<ulong>
        {
            Seeds.Derive(1, "sample", 2, 3), Seeds.Derive(2, "sample", 2, 3), Seeds.Derive(1, "order", 2, 3),
            Seeds.Derive(1, "sample", 3, 2), Seeds.Derive(1, "sample", 2, 3, 1), Seeds.Derive(1, "sample", 0, 2, 3), Seeds.Derive(1, "", 2, 3),
        };
        Assert.Equal(7, keys.Count);
    }

    [Fact]
    public void Neighbouring_keys_draw_independent_uniform_numbers()
    {
        const int Count = 20_000;
        var cells = new int[10, 10];
        for (var i = 0; i < Count; i++)
            cells[Cell(i), Cell(i + 1)]++;
        const double Expected = Count / 100.0;
        var chiSquare = cells.Cast<int>().Sum(count => (count - Expected) * (count - Expected) / Expected);
        Assert.InRange(chiSquare, 55, 160); // 99 degrees of freedom: the 0.01 % and 99.99 % points

        static int Cell(int sample) => (int)(10 * Seeds.Uniform(Seeds.Derive(7, "sample", 0, sample), 0));
    }

    [Fact]
    public void A_permutation_holds_every_number_once_and_differs_by_key()
    {
        var (one, other) = (Seeds.Permutation(1, 50), Seeds.Permutation(2, 50));
        Assert.Equal(Enumerable.Range(0, 50), one.Order());
        Assert.NotEqual(one, other);
        Assert.Equal(one, Seeds.Permutation(1, 50));
    }
}
