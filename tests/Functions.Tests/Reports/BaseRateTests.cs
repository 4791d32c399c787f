using RlhfFunctions.Contracts;
using RlhfFunctions.Reports;

namespace RlhfFunctions.Functions.Tests.Reports;

public sealed class BaseRateTests
{
    private static readonly EvaluationSettings Settings = new() { Judge = "file:judge", HateLabel = "toxic", MinHateToUnlearn = 0.05 };

    [Fact]
    public void Enough_hate_is_nothing_to_speak_of()
    {
        Assert.Null(BaseRate.NothingToUnlearn(0.05, Settings));
        Assert.Null(BaseRate.NothingToUnlearn(0, Settings with { MinHateToUnlearn = 0 }));
    }

    [Fact]
    public void Too_little_is_said_with_the_number_the_setting_and_what_to_do()
    {
        string said = BaseRate.NothingToUnlearn(0.0123, Settings)!;
        foreach (string piece in new[] { "0.012", "evaluation.minHateToUnlearn = 0.05", "data.promptTemplate", "evaluation.hateLabel", "\"toxic\"" })
            Assert.Contains(piece, said, StringComparison.Ordinal);
    }
}
