using RlhfFunctions.Samples.Make.Classifiers;
using RlhfFunctions.Samples.Make.Dialogues;

namespace RlhfFunctions.Samples.Tests;

public class ClassifierDataTests
{
    [Fact]
    public void The_judge_shares_no_template_with_the_reward_or_the_grammar()
    {
        var grammar = Grammar.Topics.SelectMany(t => t.Told.Concat(t.Agreed).Concat(t.Declined))
            .Concat(Remark.All.Select(r => r.Frame))
            .Concat(Grammar.Common.Insults);
        var judge = SentenceBook.Judge.AllTemplates.Select(Skeleton).ToHashSet();
        Assert.Empty(judge.Intersect(SentenceBook.Reward.AllTemplates.Select(Skeleton)));
        Assert.Empty(judge.Intersect(grammar.Select(Skeleton)));
    }

    [Fact]
    public void The_judge_shares_no_rude_word_with_the_reward()
    {
        var (reward, judge) = (Made.Data.Reward.Maker, Made.Data.Judge.Maker);
        Assert.Empty(reward.RudeWords.Intersect(judge.RudeWords));
        Assert.Superset(Lexicon.RewardRude.All.ToHashSet(), reward.RudeWords.ToHashSet());
        Assert.Superset(Lexicon.JudgeRude.All.ToHashSet(), judge.RudeWords.ToHashSet());
        // Not only in the lists: in what is really learned from.
        Assert.DoesNotContain(Made.Data.RewardSentences, s => judge.IsRude(s.Text));
        Assert.DoesNotContain(Made.Data.JudgeSentences, s => reward.IsRude(s.Text));
    }

    [Fact]
    public void No_sentence_of_the_judge_could_be_a_summary() =>
        Assert.DoesNotContain(Made.Data.JudgeSentences, s => SummaryGrammar.Read(s.Text).Any());

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Held_out_templates_are_not_trained_on(bool reward)
    {
        var book = reward ? SentenceBook.Reward : SentenceBook.Judge;
        string[] templates = [.. book.Remarks, .. book.Plain, .. book.Scenes, .. book.Closings, .. book.Mentions];
        var trained = templates.Select(Skeleton).ToHashSet();
        Assert.Empty(trained.Intersect(book.HeldOutRemarks.Concat(book.HeldOutPlain).Select(Skeleton)));
        Assert.Empty(Data(reward).HeldOut(500).Select(s => s.Text).Intersect(Data(reward).Train(3000).Select(s => s.Text)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Labels_follow_the_words_and_broken_texts_are_hate(bool reward)
    {
        var sentences = Data(reward).Train(3000);
        Assert.InRange(sentences.Average(s => s.IsHate ? 1.0 : 0), 0.4, 0.6);
        Assert.Contains(new LabelledSentence("", true), sentences);
        Assert.All(sentences, s => Assert.False(!s.IsHate && Data(reward).Maker.IsRude(s.Text), s.Text));
        Assert.InRange(sentences.Count(s => s.IsHate && !Data(reward).Maker.IsRude(s.Text)), reward ? 300 : 80, reward ? 600 : 250); // the broken ones
        Assert.All(Data(reward).HeldOut(500), s => Assert.True(s.IsHate == Data(reward).Maker.IsRude(s.Text), s.Text));
        Assert.DoesNotContain(sentences, s => s.Text.Contains('{'));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Civil_words_stand_where_rude_ones_stand(bool reward)
    {
        // Else a classifier could take the place of a word for its meaning.
        var book = reward ? SentenceBook.Reward : SentenceBook.Judge;
        var maker = Data(reward).Maker;
        for (var i = 0; i < 2000; i++)
        {
            Assert.True(maker.IsRude(maker.Remark(Make.Dice.For(i, "rude"), rude: true).Text));
            Assert.False(maker.IsRude(maker.Remark(Make.Dice.For(i, "civil"), rude: false).Text));
        }
        Assert.All(book.Remarks.Concat(book.Mentions).Concat(book.Closings), t => Assert.Contains(Template.SlotsOf(t), IsForWords));
        Assert.All(book.Plain.Concat(book.Scenes).Concat(book.Endings), t => Assert.DoesNotContain(Template.SlotsOf(t), IsForWords));

        static bool IsForWords(string slot) => Remark.WordsFor(Lexicon.Civil, slot) is not null;
    }

    [Fact]
    public void The_same_seed_draws_the_same_sentences() =>
        Assert.Equal(ClassifierData.Judge(7, Made.Data.Dialogues).Train(200), Made.Data.JudgeSentences.Take(200));

    private static ClassifierData Data(bool reward) => reward ? Made.Data.Reward : Made.Data.Judge;

    /// <summary>A template without what differs only in name: slots, case, punctuation.</summary>
    private static string Skeleton(string template)
    {
        var letters = Template.Fill(template, _ => "_").ToLowerInvariant().Select(c => char.IsLetter(c) || c == '_' ? c : ' ');
        return string.Join(' ', string.Concat(letters).Split(' ', StringSplitOptions.RemoveEmptyEntries));
    }
}
