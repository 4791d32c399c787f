using RlhfFunctions.Samples.Make.Quality;

namespace RlhfFunctions.Samples.Tests;

public class VerdictsTests
{
    // Of the 2 × 3 pairs, 4 are in order and 1 is a tie: 4.5 / 6.
    [Fact]
    public void The_area_is_the_share_of_pairs_in_order()
    {
        var verdicts = Verdicts.Of([0.9f, 0.3f, 0.1f, 0.3f, 0.6f], [true, true, false, false, false]);
        Assert.Equal(4.5 / 6, verdicts.Auc, 12);
        Assert.Equal(3.0 / 5, verdicts.Accuracy, 12);
    }
}
