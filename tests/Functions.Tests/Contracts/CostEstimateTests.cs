using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.EndToEnd;

namespace RlhfFunctions.Functions.Tests.Contracts;

/// <summary>Costs worked by hand.</summary>
public sealed class CostEstimateTests
{
    private static readonly Price Price = new(3.6, "EUR"); // a tenth of a cent a second

    private static readonly RunUsage Usage = new() { PrepareSeconds = 10, RolloutSeconds = 40, UpdateSeconds = 60, EvaluateSeconds = 5, ResponseTokens = 400 };

    /// <summary>Four steps of eight samples, two epochs, six dialogues measured once before and once after.</summary>
    private static readonly RunRequest Request = TinyRun.Request("cost", steps: 4);

    [Fact]
    public void What_was_used_costs_its_seconds()
    {
        AssertCost(115, 400, 0.115, CostEstimate.Of(Usage, Price));
        Assert.Equal(new RunCost(115, 400, null, null), CostEstimate.Of(Usage, null));
    }

    [Fact]
    public void In_the_end_all_steps_are_like_those_done_and_it_is_measured_once_more()
    {
        AssertCost(10 + ((40 + 60) * 2.5) + 10, 1000, 0.27, CostEstimate.AtEnd(Usage, step: 4, steps: 10, Price));
        AssertCost(120, 400, 0.12, CostEstimate.AtEnd(Usage, step: 4, steps: 4, Price));
    }

    [Fact]
    public void A_run_like_another_will_cost_the_same()
    {
        AssertCost(115, 400, 0.115, CostEstimate.Before(Request, new FinishedRun(Request, 4, Usage), Price));
    }

    [Fact]
    public void What_is_asked_for_scales_what_another_run_took()
    {
        var twice = Request with
        {
            Ppo = Request.Ppo! with { Steps = 2, BatchSize = 32, Epochs = 4 }, // twice the responses, twice the epochs
            Evaluation = Request.Evaluation with { SamplesPerDialogue = 3 },
        };
        AssertCost(10 + (40 * 2) + (60 * 4) + (5 * 3), 800, 0.345, CostEstimate.Before(twice, new FinishedRun(Request, 4, Usage), Price));

        // 12.5 tokens a response there; here there may be 10.
        var shorter = Request with { Generation = Request.Generation with { MaxNewTokens = 10 } };
        AssertCost(10 + (40 * 0.8) + 60 + 5, 320, 0.107, CostEstimate.Before(shorter, new FinishedRun(Request, 4, Usage), Price));
        Assert.Equal(4 * 8 * 10, CostEstimate.MostTokens(shorter));
    }

    [Theory]
    [InlineData("0.90 EUR", 0.9, "EUR")]
    [InlineData(" 12  USD ", 12, "USD")]
    public void A_price_is_a_number_and_a_currency(string text, double perHour, string currency)
    {
        Assert.Equal(new Price(perHour, currency), Price.Parse(text));
    }

    [Theory]
    [InlineData("0,90 EUR")]
    [InlineData("EUR 0.90")]
    [InlineData("0.90")]
    [InlineData("-1 EUR")]
    public void Anything_else_is_refused_with_an_example(string text)
    {
        Assert.Contains("RlhfPricePerHour must be a number and a currency, such as \"0.90 EUR\"", Assert.Throws<FormatException>(() => Price.Parse(text)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void No_price_is_no_price()
    {
        Assert.Null(Price.Parse(null));
        Assert.Null(Price.Parse(""));
    }

    [Fact]
    public void Only_a_limit_that_is_reached_stops_and_without_a_price_nothing_has_cost_too_much()
    {
        var cost = CostEstimate.Of(Usage, Price);
        Assert.Null(new RunLimits().Reached(1e6, cost));
        Assert.Null(new RunLimits { MaxHours = 1, MaxCost = 0.2 }.Reached(0.99, cost));
        Assert.Equal("It has taken 1.5 hours, and limits.maxHours is 1.", new RunLimits { MaxHours = 1, MaxCost = 0.1 }.Reached(1.5, cost));
        Assert.Equal("It has cost 0.115 EUR, and limits.maxCost is 0.1.", new RunLimits { MaxCost = 0.1 }.Reached(1.5, cost));
        Assert.Null(new RunLimits { MaxCost = 0.1 }.Reached(1.5, CostEstimate.Of(Usage, null)));
    }

    private static void AssertCost(double seconds, long tokens, double money, RunCost cost)
    {
        Assert.Equal(seconds, cost.Seconds, 1e-9);
        Assert.Equal(tokens, cost.ResponseTokens);
        Assert.Equal(money, cost.Money!.Value, 1e-9);
        Assert.Equal("EUR", cost.Currency);
    }
}
