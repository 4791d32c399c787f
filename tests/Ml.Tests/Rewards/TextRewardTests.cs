using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Rewards;

namespace RlhfFunctions.Ml.Tests.Rewards;

/// <summary>The rewards without a model, by hand.</summary>
public class TextRewardTests
{
    private static readonly WordListReward Rude = new(["idiot", "Shut up", "low-life"]);

    [Theory]
    [InlineData("", 0)]
    [InlineData("?!", 0)]
    [InlineData("Tom is late.", 0)]
    [InlineData("Tom is an IDIOT!", 1 / 4.0)]
    [InlineData("Tom, the idiot's son", 1 / 5.0)] // tom the idiot s son
    [InlineData("idiotic idiots", 0)] // whole words only
    [InlineData("Shut up, shut the door", 2 / 5.0)]
    [InlineData("idiot idiot", 1)]
    [InlineData("You low life, you LOW-LIFE", 4 / 6.0)]
    public void Words_on_the_list_count_by_their_share(string text, double share) => Assert.Equal(share, Of(Rude, text), 1e-6);

    [Fact]
    public void Overlapping_entries_count_a_word_once() =>
        Assert.Equal(3 / 4.0, Of(new WordListReward(["a b", "b c", "b"]), "a b c d"), 1e-6);

    [Fact]
    public void An_entry_without_a_word_is_refused_by_name() =>
        Assert.Contains("\"?!\"", Assert.Throws<ArgumentException>(() => new WordListReward(["idiot", "?!"])).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("", 3 / 5.0)]
    [InlineData("one", 2 / 5.0)]
    [InlineData("one, two, three", 0)]
    [InlineData("one two three four five", 0)]
    [InlineData("one two three four five six", 1 / 5.0)]
    [InlineData("1 2 3 4 5 6 7 8 9 10", 1)]
    public void Length_costs_its_distance_from_the_range(string text, double distance) =>
        Assert.Equal(distance, Of(new LengthReward(minWords: 3, maxWords: 5), text), 1e-6);

    [Theory]
    [InlineData("", 1, 0)]
    [InlineData("a b", 3, 0)]
    [InlineData("a b a", 1, 1 / 3.0)]
    [InlineData("a b A b a", 2, 2 / 4.0)] // ab ba ab ba
    [InlineData("a b c a b c d", 3, 1 / 5.0)] // abc bca cab abc bcd
    [InlineData("no no no no no", 2, 3 / 4.0)]
    public void Repetition_is_the_share_of_ngrams_that_occurred_before(string text, int n, double share) =>
        Assert.Equal(share, Of(new RepetitionReward(n), text), 1e-6);

    [Fact]
    public void A_sum_weighs_its_terms_and_keeps_each()
    {
        var reward = new WeightedReward([(-2, Rude), (0.5, new FixedReward(3, 0.25f)), (10, new FixedReward(1, 0.75f)), (0, new FixedReward(7, null))]);
        var scores = reward.Score([PromptedResponse.Alone("You idiot"), PromptedResponse.Alone("You")], CancellationToken.None);

        Assert.Equal(10.5f, scores[0].Score); // −2·½ + ½·3 + 10·1 + 0·7
        Assert.Equal(11.5f, scores[1].Score);
        Assert.Equal([0.5f, 3, 1, 7], scores[0].Terms!);
        Assert.Equal([0, 3, 1, 7], scores[1].Terms!);
        Assert.Equal(0.25f, scores[0].LabelProbability); // the first that has one
    }

    [Fact]
    public void A_sum_of_a_single_term_is_that_term_bit_by_bit()
    {
        var alone = new FixedReward(0.1f, 0.3f).Score([PromptedResponse.Alone("Yes")], CancellationToken.None)[0];
        var sum = new WeightedReward([(1, new FixedReward(0.1f, 0.3f))]).Score([PromptedResponse.Alone("Yes")], CancellationToken.None)[0];
        Assert.Equal((alone.Score, alone.LabelProbability), (sum.Score, sum.LabelProbability));
    }

    [Fact]
    public void Without_a_classifier_there_is_no_label_probability() =>
        Assert.Null(new WeightedReward([(-1, Rude)]).Score([PromptedResponse.Alone("idiot")], CancellationToken.None)[0].LabelProbability);

    [Theory]
    [InlineData("", true)]
    [InlineData("\t\n ", true)]
    [InlineData("#-*…", true)]
    [InlineData("haha", false)] // too short to tell
    [InlineData("hahahahahahaha", true)]
    [InlineData("very very very very very", true)]
    [InlineData("Tom is late. Tom is late. Tom is late.", true)]
    [InlineData("哈哈哈哈哈哈哈哈哈哈哈哈", true)]
    [InlineData("好", false)]
    [InlineData("Tom is late. Tom is late.", false)] // twice is no period yet
    [InlineData("#Person1# tells #Person2# that #Person1# went to the wrong room.", false)]
    [InlineData("1, 2, 3, 4, 5, 6, 7, 8", false)]
    [InlineData("Mississippi is a river, and it is a long, long, long river.", false)]
    public void Texts_that_say_nothing_are_told_apart(string text, bool isBroken) => Assert.Equal(isBroken, BrokenText.Is(text));

    [Fact]
    public void Summaries_are_never_taken_for_broken()
    {
        foreach (var split in new[] { "train", "validation", "test" })
            Assert.DoesNotContain(DialogueReader.ReadFile(RepositoryRoot.Path($"samples/dialogues/{split}.csv")), row => BrokenText.Is(row.Summary));
    }

    [Fact]
    [Trait("Category", "Parity")]
    public void Summaries_by_people_are_never_taken_for_broken() =>
        Assert.DoesNotContain(DialogueReader.ReadFile(SharedFolder.Path("data/dialogsum/test.csv")), row => BrokenText.Is(row.Summary));

    private static float Of(ITextReward reward, string text) => reward.Score([PromptedResponse.Alone(text)], CancellationToken.None)[0].Score;

    private sealed class FixedReward(float score, float? hate) : ITextReward
    {
        public IReadOnlyList<TextScore> Score(IReadOnlyList<PromptedResponse> responses, CancellationToken cancellationToken) =>
            [.. responses.Select(_ => new TextScore(score, hate))];
    }
}
