using System.Text.Json;
using RlhfFunctions.Ml.Rewards;

namespace RlhfFunctions.Ml.Tests.Rewards;

public class RougeTests
{
    [Fact]
    [Trait("Category", "Parity")]
    public void Rouge_equals_rouge_score()
    {
        using var golden = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.Path("golden/hf/evaluation/rouge.json")));
        foreach (var pair in golden.RootElement.GetProperty("pairs").EnumerateArray())
        {
            var (reference, candidate) = (pair.GetProperty("reference").GetString()!, pair.GetProperty("candidate").GetString()!);
            AssertEqual(pair.GetProperty("plain"), Rouge.Score(reference, candidate, stem: false));
            AssertEqual(pair.GetProperty("stemmed"), Rouge.Score(reference, candidate));
        }
    }

    [Fact]
    public void A_worked_example()
    {
        // Words in common: the, cat, on, the, mat (5 of 6 and 5 of 7); pairs: "on the", "the mat" and "the cat"; in order: all five.
        var scores = Rouge.Score("The cat sat on the mat.", "the cat was lying on the mat", stem: false);
        Assert.Equal(5 / 7.0, scores.Rouge1.Precision, 12);
        Assert.Equal(5 / 6.0, scores.Rouge1.Recall, 12);
        Assert.Equal(3 / 6.0, scores.Rouge2.Precision, 12);
        Assert.Equal(3 / 5.0, scores.Rouge2.Recall, 12);
        Assert.Equal(10 / 13.0, scores.RougeL.FMeasure, 12);
    }

    [Theory]
    [InlineData("dying", "die")]
    [InlineData("cries", "cried")]
    [InlineData("relational", "relate")]
    [InlineData("hopping", "hopped")]
    [InlineData("geology", "geologies")]
    [InlineData("generalizations", "general")]
    public void Stemming_joins_forms_of_a_word(string reference, string candidate)
    {
        Assert.Equal(1, Rouge.Score(reference, candidate).Rouge1.FMeasure);
        Assert.Equal(0, Rouge.Score(reference, candidate, stem: false).Rouge1.FMeasure);
    }

    [Fact]
    public void Nothing_in_common_or_nothing_at_all_scores_zero()
    {
        Assert.Equal(default, Rouge.Score("yes", "no"));
        Assert.Equal(default, Rouge.Score("", "no"));
        Assert.Equal(default, Rouge.Score("你好", "你好"));
    }

    private static void AssertEqual(JsonElement expected, RougeScores actual)
    {
        AssertEqual(expected.GetProperty("rouge1"), actual.Rouge1);
        AssertEqual(expected.GetProperty("rouge2"), actual.Rouge2);
        AssertEqual(expected.GetProperty("rougeL"), actual.RougeL);
    }

    private static void AssertEqual(JsonElement expected, RougeScore actual)
    {
        Assert.Equal(expected.GetProperty("precision").GetDouble(), actual.Precision, 14);
        Assert.Equal(expected.GetProperty("recall").GetDouble(), actual.Recall, 14);
        Assert.Equal(expected.GetProperty("fmeasure").GetDouble(), actual.FMeasure, 14);
    }
}
