using RlhfFunctions.Contracts;
using RlhfFunctions.Reports;

namespace RlhfFunctions.Functions.Tests.Reports;

public sealed class BaseRateTests
{
    private static readonly EvaluationSettings Settings = new() { Judge = "file:judge", Label = "toxic", MinToUnlearn = 0.05 };

    [Fact]
    public void Enough_to_unlearn_is_nothing_to_speak_of()
    {
        Assert.Null(BaseRate.NothingToUnlearn(0.05, Settings));
        Assert.Null(BaseRate.NothingToUnlearn(0, Settings with { MinToUnlearn = 0 }));
        Assert.Null(BaseRate.NothingToUnlearn(null, Settings)); // no judge
    }

    [Fact]
    public void Too_little_is_said_with_the_number_the_setting_and_what_to_do()
    {
        string said = BaseRate.NothingToUnlearn(0.0123, Settings)!;
        foreach (string piece in new[] { "0.012", "evaluation.minToUnlearn = 0.05", "data.promptTemplate", "evaluation.label", "\"toxic\"" })
            Assert.Contains(piece, said, StringComparison.Ordinal);
    }

    [Fact]
    public void Where_higher_is_better_little_is_near_one()
    {
        var higher = Settings with { Direction = LabelDirection.Higher };
        Assert.Null(BaseRate.NothingToUnlearn(0.9, higher));
        Assert.Contains("0.960", BaseRate.NothingToUnlearn(0.96, higher), StringComparison.Ordinal);
    }
}
