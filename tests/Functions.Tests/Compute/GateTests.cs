using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Functions.Tests.Compute;

/// <summary>What an adapter must have reached to serve.</summary>
public sealed class GateTests
{
    private static readonly EvaluationSettings Lower = new() { Judge = "file:judge", Label = "toxic" };

    [Theory]
    [InlineData(LabelDirection.Lower, 0.5, 0.4, null)]
    [InlineData(LabelDirection.Lower, 0.5, 0.5, "toxic probability is 0.500, not below")]
    [InlineData(LabelDirection.Higher, 0.5, 0.6, null)]
    [InlineData(LabelDirection.Higher, 0.5, 0.4, "toxic probability is 0.400, not above")]
    public void The_label_must_go_its_way(LabelDirection direction, double before, double after, string? says)
    {
        string? fault = PolicyMeasuring.FaultOf((before, 0.5), (after, 0.5), Lower with { Direction = direction });
        if (says is null) Assert.Null(fault);
        else Assert.Contains(says, fault, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_a_judge_the_summaries_alone_decide()
    {
        Assert.Null(PolicyMeasuring.FaultOf((null, 0.5), (null, 0.48), Lower));
        Assert.Contains("ROUGE-L", PolicyMeasuring.FaultOf((null, 0.5), (null, 0.4), Lower), StringComparison.Ordinal);
    }
}
