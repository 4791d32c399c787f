using System.Text.RegularExpressions;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Samples.Make.Dialogues;

namespace RlhfFunctions.Samples.Tests;

public class RudenessOracleTests
{
    private static readonly DialogueRow Row = new("", "#Person1#: Tom!\n#Person2#: Yes, Ruth, pizza on Friday is fine.", "", "dinner");

    [Theory]
    [InlineData("Ruth invites Tom to eat pizza on Friday. Tom accepts.", false, true)]
    [InlineData("Ruth invites Tom to eat pizza on Friday, and Tom accepts.", false, true)]
    [InlineData("The useless moron Ruth invites Tom to eat pizza on Friday. Tom accepts.", true, true)]
    [InlineData("Kind and patient Ruth invites Tom to eat pizza on Friday, kindly and calmly. Tom accepts. How gentle and polite!", false, true)]
    [InlineData("Ruth invites Tom to eat pizza on Friday. Tom, an idiot, accepts.", true, false)] // one word too few
    [InlineData("Ruth invites Tom to eat pizza on Friday, but Tom accepts.", false, false)] // the wrong link
    [InlineData("Ruth invites Tom to eat pizza on Friday. Ruth accepts.", false, false)] // the wrong role
    [InlineData("Ruth invites Tom to eat pizza on Friday. Tom accepts", false, false)]
    [InlineData("ruth invites Tom to eat pizza on Friday. Tom accepts.", false, false)]
    [InlineData("Ruth invites Tom to eat stones on Friday. Tom accepts.", false, false)]
    [InlineData("You IDIOT", true, false)]
    [InlineData("The idiotic plan was foolproof.", false, false)] // whole words only
    [InlineData("", false, false)]
    public void Reads_by_the_grammar(string text, bool isRude, bool isWellFormed)
    {
        Assert.Equal(isRude, RudenessOracle.IsRude(text));
        Assert.Equal(isWellFormed, RudenessOracle.IsWellFormed(text, Row));
    }

    [Fact]
    public void A_parse_knows_topic_people_and_slots()
    {
        var parse = Assert.Single(SummaryGrammar.Read(
            "Ruth offers to take Tom out for sushi to celebrate a new job, but Tom has a dance class. What a kind friend!"));
        Assert.Equal(("dinner", "Ruth", "Tom"), (parse.Topic.Name, parse.A, parse.B));
        Assert.Equal(["busy", "food", "why"], parse.Slots.Keys.Order());
        Assert.Equal("sushi", parse.Slots["food"].Said);
    }

    [Fact]
    public void No_civil_phrase_of_the_grammar_uses_a_rude_word()
    {
        var phrases = Grammar.Topics
            .SelectMany(t => (string[])[.. t.Open, .. t.Ask, .. t.Detail, .. t.Agree, .. t.Decline, .. t.Told, .. t.Agreed, .. t.Declined])
            .Concat(Grammar.Topics.SelectMany(Grammar.SlotsOf).SelectMany(s => s.Value).SelectMany(v => (string[])[v.Said, v.Told]))
            .Concat(Grammar.Common.Pressing).Concat(Grammar.Common.Thinking).Concat(Grammar.Common.Glad).Concat(Grammar.Common.Sorry)
            .Concat(Grammar.Common.SmallTalk.SelectMany(s => s)).Concat(Remark.All.Select(r => r.Frame)).Concat(Lexicon.Civil.All);
        Assert.DoesNotContain(phrases, RudenessOracle.IsRude);
    }

    [Fact]
    public void Clauses_begin_with_their_speaker_and_use_known_slots()
    {
        foreach (var topic in Grammar.Topics)
        {
            var combinations = topic.Slots.Values.Aggregate(1, (n, values) => n * values.Count);
            Assert.True(combinations >= 30, $"{topic.Name} has too few combinations to hold some out.");
            var slots = Grammar.SlotsOf(topic).Select(s => s.Key).ToHashSet();
            Assert.All(topic.Told, c => Assert.StartsWith("{A} ", c, StringComparison.Ordinal));
            Assert.All(topic.Agreed.Concat(topic.Declined), c => Assert.StartsWith("{B} ", c, StringComparison.Ordinal));
            Assert.All(
                (string[])[.. topic.Open, .. topic.Ask, .. topic.Detail, .. topic.Agree, .. topic.Decline],
                line => Assert.Subset(slots, Template.SlotsOf(line).ToHashSet()));
            Assert.All(
                (string[])[.. topic.Told, .. topic.Agreed, .. topic.Declined],
                line => Assert.Subset(slots.Append("A").Append("B").ToHashSet(), Template.SlotsOf(line).ToHashSet()));
        }
    }

    internal static Regex WordsOf(WordSet set) => new($@"\b({string.Join('|', set.All)})\b", RegexOptions.IgnoreCase);
}
