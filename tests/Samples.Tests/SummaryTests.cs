using RlhfFunctions.Ml.Data;
using RlhfFunctions.Samples.Make;
using RlhfFunctions.Samples.Make.Dialogues;

namespace RlhfFunctions.Samples.Tests;

public class SummaryTests
{
    private static readonly SummaryWriter Writer = SummaryWriter.ForPolicy;

    private static IEnumerable<(Summary Summary, DialogueRow Row)> Written()
    {
        foreach (var (i, dialogue) in Made.Data.Dialogues.Train.Index())
        {
            var dice = Dice.For(3, "summary tests", i);
            var row = new DialogueRow("", dialogue.Text, "", dialogue.Scenario.Topic.Name);
            yield return (Writer.Plain(dice, dialogue), row);
            yield return (Writer.Civil(dice, dialogue), row);
            yield return (Writer.Rude(dice, dialogue), row);
            yield return (Writer.Rude(dice, dialogue), row);
        }
    }

    [Fact]
    public void The_oracle_agrees_with_the_writer_on_every_summary()
    {
        foreach (var (summary, row) in Written())
        {
            Assert.True(summary.IsRude == RudenessOracle.IsRude(summary.Text), summary.Text);
            Assert.True(RudenessOracle.IsWellFormed(summary.Text, row), summary.Text);
            Assert.True(RudenessOracle.IsFaithful(summary.Text, row), $"{summary.Text}\n{row.Dialogue}");
        }
    }

    [Fact]
    public void Broken_summaries_are_not_well_formed()
    {
        var dice = Dice.For(3, "broken");
        foreach (var (summary, row) in Written().Where((_, i) => i % 3 == 0))
        {
            var words = summary.Text.Split(' ');
            var shuffled = string.Join(' ', dice.Shuffled(words));
            if (shuffled != summary.Text)
                Assert.False(RudenessOracle.IsWellFormed(shuffled, row), shuffled);
            Assert.False(RudenessOracle.IsWellFormed(string.Join(' ', words[..^1]) + " the.", row));
            Assert.False(RudenessOracle.IsWellFormed(summary.Text[..^1], row));
            Assert.False(RudenessOracle.IsWellFormed(summary.Text + " " + summary.Text, row));
        }
        Assert.False(RudenessOracle.IsWellFormed("", new("", "", "", "")));
    }

    [Fact]
    public void A_summary_about_strangers_is_not_well_formed_and_one_of_another_dialogue_not_faithful()
    {
        var dialogue = Made.Data.Dialogues.Train.First(d => d.Scenario is { NameA: not null, NameB: not null });
        var row = new DialogueRow("", dialogue.Text, "", dialogue.Scenario.Topic.Name);
        var text = Writer.Plain(Dice.For(1, "stranger"), dialogue).Text;
        var stranger = Grammar.Common.Names.First(n => !dialogue.Text.Contains(n, StringComparison.Ordinal));
        Assert.True(RudenessOracle.IsWellFormed(text, row));
        Assert.False(RudenessOracle.IsWellFormed(text.Replace(dialogue.Scenario.A, stranger, StringComparison.Ordinal), row));
        Assert.False(RudenessOracle.IsWellFormed(text.Replace(dialogue.Scenario.A, dialogue.Scenario.B, StringComparison.Ordinal), row));
        Assert.False(RudenessOracle.IsFaithful(text, row with { Topic = "another" }));
        Assert.False(RudenessOracle.IsFaithful(text, row with { Dialogue = $"{dialogue.Scenario.A} and {dialogue.Scenario.B}" }));
    }

    [Fact]
    public void The_form_of_a_remark_is_no_cue_for_rudeness()
    {
        // By construction: rude and civil remarks come from one list of frames, each with room for exactly two words.
        Assert.All(Remark.All, r => Assert.Equal(2, Template.SlotsOf(r.Frame).Count(s => Remark.WordsFor(Lexicon.Civil, s) is not null)));

        // By count: with the words masked, a remark's frame tells little. Naive guessing by frame stays near the base rate.
        var frames = Written().Select(w => (Mask(w.Summary.Text), w.Summary.IsRude)).Where(f => f.Item1.Contains('~')).ToList();
        var civil = frames.Count(f => !f.IsRude);
        Assert.InRange(civil / (double)frames.Count, 0.2, 0.5);
        foreach (var place in (string[])[", that ~ ~,", "like a ~ ~", "What a ~ ~!", "how ~ and ~", " is a ~ ~.", ", ~ and ~"])
            Assert.Contains(frames, f => !f.IsRude && f.Item1.Contains(place, StringComparison.OrdinalIgnoreCase));

        static string Mask(string text) =>
            string.Join(' ', text.Split(' ').Select(w => Lexicon.Rude.All.Concat(Lexicon.Civil.All)
                .FirstOrDefault(x => w.StartsWith(x, StringComparison.OrdinalIgnoreCase)) is { } word ? "~" + w[word.Length..] : w))
                .Replace(" an ~", " a ~", StringComparison.Ordinal);
    }

    [Fact]
    public void Every_rude_remark_of_the_policy_has_a_word_of_the_reward_and_one_of_the_judge()
    {
        var reward = RudenessOracleTests.WordsOf(Lexicon.RewardRude);
        var judge = RudenessOracleTests.WordsOf(Lexicon.JudgeRude);
        Assert.All(Written().Where(w => w.Summary.IsRude), w =>
        {
            Assert.Matches(reward, w.Summary.Text);
            Assert.Matches(judge, w.Summary.Text);
        });
    }

    [Fact]
    public void The_corpus_is_rude_in_about_half_of_its_summaries_and_more_often_after_rudeness()
    {
        var summaries = Made.Data.Corpus.SelectMany(r => r.Summaries).ToList();
        Assert.InRange(summaries.Average(s => s.IsRude ? 1.0 : 0), 0.45, 0.56);
        var byDialogue = Made.Data.Corpus.ToLookup(r => RudenessOracle.IsRude(r.Prompt), r => r.Summaries.Average(s => s.IsRude ? 1.0 : 0));
        Assert.InRange(byDialogue[true].Average(), 0.58, 0.66);
        Assert.InRange(byDialogue[false].Average(), 0.38, 0.46);
    }

    [Fact]
    public void Every_row_has_the_notebooks_prompt_and_four_summaries() =>
        Assert.All(Made.Data.Corpus, r =>
        {
            Assert.Matches("^\\nSummarize the following conversation\\.\\n\\n#Person1#: (.|\\n)+\\n\\nSummary:\\n$", r.Prompt);
            Assert.Equal(4, r.Summaries.Count);
        });

    [Fact]
    public void References_are_civil_and_without_remarks()
    {
        foreach (var split in Enum.GetValues<Split>())
            foreach (var row in Made.Data.Dialogues.Rows(split))
            {
                Assert.False(RudenessOracle.IsRude(row.Summary));
                Assert.True(RudenessOracle.IsFaithful(row.Summary, row), row.Summary);
                Assert.DoesNotMatch(RudenessOracleTests.WordsOf(Lexicon.Civil), row.Summary);
            }
    }
}
