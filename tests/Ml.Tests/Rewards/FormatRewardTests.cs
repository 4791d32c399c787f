using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Rewards;

namespace RlhfFunctions.Ml.Tests.Rewards;

public sealed class FormatRewardTests
{
    [Fact]
    public void A_pattern_pays_one_where_it_matches()
    {
        var reward = new RegexReward(@"^<think>[\s\S]*</think>");
        Assert.Equal([1, 0, 0], Scores(reward, "<think>a\nb</think> c", "no", ""));
    }

    [Theory]
    [InlineData("(a", "Not enough")]
    [InlineData("(?=a)a", "looks around")]
    [InlineData(@"(a)\1", "refers back")]
    public void A_pattern_that_is_none_or_may_take_for_ever_is_refused(string pattern, string why) =>
        Assert.Contains(why, Assert.ThrowsAny<ArgumentException>(() => new RegexReward(pattern)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_pattern_made_to_explode_ends_at_once() => // with backtracking, 2^40 ways
        Assert.Equal([0], Scores(new RegexReward("^(a+)+$"), new string('a', 40) + "!"));

    [Fact]
    public void A_schema_pays_one_where_the_whole_response_is_json_that_fits()
    {
        var reward = new JsonSchemaReward("""{ "type": "object", "required": ["summary"], "properties": { "summary": { "type": "string", "maxLength": 5 } } }""");
        Assert.Equal(
            [1, 0, 0, 0, 0],
            Scores(reward, """ {"summary": "short"} """, """{"summary": "too long"}""", """{"sum": 1}""", """Here: {"summary": "a"}""", ""));
    }

    [Fact]
    public void A_schema_that_is_none_is_refused() => Assert.Throws<ArgumentException>(() => new JsonSchemaReward("""{ "type": 7 }"""));

    [Theory]
    [InlineData(RougeVariant.Rouge1, 0.75)] // of the four words on either side three are shared
    [InlineData(RougeVariant.Rouge2, 1 / 3.0)] // "the cat"
    [InlineData(RougeVariant.RougeL, 0.75)]
    public void Rouge_is_that_of_the_reference(RougeVariant variant, double expected)
    {
        var score = new RougeReward(variant).Score([new("", "the cat was home", "", "the cat is home")], CancellationToken.None).Single();
        Assert.Equal(expected, score.Score, 1e-6);
        Assert.Throws<ArgumentException>(() => Scores(new RougeReward(variant), "without a reference"));
    }

    [Theory]
    [InlineData(EnsembleValue.Mean, 2)]
    [InlineData(EnsembleValue.Minimum, 1)]
    [InlineData(EnsembleValue.MeanLessDeviation, 0)] // 2 − 2 · 1
    public void An_ensemble_combines_its_members(EnsembleValue combine, double expected)
    {
        var ensemble = new EnsembleReward([new Fixed(1, 0.5f), new Fixed(2, null), new Fixed(3, 0.25f)], combine, deviations: 2);
        var score = ensemble.Score([PromptedResponse.Alone("a")], CancellationToken.None).Single();
        Assert.Equal(expected, score.Score, 1e-6);
        Assert.Equal(0.375f, score.LabelProbability);
    }

    private static float[] Scores(ITextReward reward, params string[] texts) =>
        [.. reward.Score(Array.ConvertAll(texts, PromptedResponse.Alone), CancellationToken.None).Select(score => score.Score)];

    private sealed class Fixed(float score, float? hate) : ITextReward
    {
        public IReadOnlyList<TextScore> Score(IReadOnlyList<PromptedResponse> responses, CancellationToken cancellationToken) =>
            [.. responses.Select(_ => new TextScore(score, hate))];
    }
}
