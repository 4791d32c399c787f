using RlhfFunctions.Ml.Data;
using RlhfFunctions.Samples.Make;
using RlhfFunctions.Samples.Make.Dialogues;

namespace RlhfFunctions.Samples.Tests;

public class DialogueTests
{
    private static DialogueSet Set => Made.Data.Dialogues;

    [Fact]
    public void Splits_have_their_sizes_and_every_dialogue_passes_the_length_filter()
    {
        Assert.Equal((1000, 100, 100), (Set.Train.Count, Set.Validation.Count, Set.Test.Count));
        Assert.All(All(), d => Assert.InRange(d.Text.Length, 201, 1024));
        Assert.InRange(Set.Train.Average(d => d.Text.Length), 340, 400);
    }

    [Fact]
    public void There_are_at_least_twenty_topics_and_the_training_split_knows_them_all()
    {
        Assert.True(Grammar.Topics.Count >= 20);
        Assert.Equal(Grammar.Topics.Count, Grammar.Topics.Select(t => t.Name).Distinct().Count());
        Assert.Equal(Grammar.Topics.Count, Set.Train.Select(d => d.Scenario.Topic).Distinct().Count());
    }

    [Fact]
    public void No_dialogue_occurs_twice_in_or_across_splits() =>
        Assert.Equal(All().Count(), All().Select(d => d.Text).Distinct().Count());

    [Fact]
    public void No_two_splits_share_a_combination_of_slot_values()
    {
        var owner = new Dictionary<string, Split>();
        foreach (var split in Enum.GetValues<Split>())
            foreach (var dialogue in Set.Of(split))
                Assert.Equal(split, owner.TryAdd(CombinationOf(dialogue), split) ? split : owner[CombinationOf(dialogue)]);
    }

    [Fact]
    public void Further_training_dialogues_stay_clear_of_validation_and_test()
    {
        var held = Set.Validation.Concat(Set.Test).ToList();
        var more = Set.MoreTraining("a test", 2000);
        Assert.Empty(more.Select(d => d.Text).Intersect(held.Select(d => d.Text)));
        Assert.Empty(more.Select(CombinationOf).Intersect(held.Select(CombinationOf)));
    }

    [Fact]
    public void Odd_dialogues_speak_of_other_topics_things_and_never_of_what_was_dealt_out()
    {
        var plan = new SplitPlan(1);
        var dealt = Grammar.Topics.ToDictionary(t => t, t => Enum.GetValues<Split>().SelectMany(s => plan.Combinations(t, s)).ToList());
        bool IsOdd(Dialogue d) => !dealt[d.Scenario.Topic].Any(own => own.All(v => d.Scenario.Values[v.Key] == v.Value));
        Assert.All(Set.MoreTraining("a test", 500, oddShare: 1), d => Assert.True(IsOdd(d), d.Text));
        Assert.InRange(Set.MoreTraining("a test", 500, oddShare: 0.4).Count(IsOdd), 150, 250);
    }

    [Fact]
    public void Every_turn_names_its_speaker_and_no_slot_stays_open()
    {
        Assert.All(All().SelectMany(d => d.Text.Split('\n')), line => Assert.Matches("^#Person[12]#: [A-Z#]", line));
        Assert.All(All(), d => Assert.DoesNotContain('{', d.Text));
    }

    [Fact]
    public void A_name_used_in_a_summary_falls_in_the_dialogue() =>
        Assert.All(All(), d =>
        {
            Assert.Contains(d.Scenario.A, d.Text, StringComparison.Ordinal);
            Assert.Contains(d.Scenario.B, d.Text, StringComparison.Ordinal);
        });

    [Fact]
    public void Exactly_the_rude_speakers_insult()
    {
        foreach (var dialogue in All())
        {
            var rude = dialogue.Text.Split('\n').Where(RudenessOracle.IsRude).Select(line => line[..9]).ToHashSet();
            Assert.Equal(dialogue.Scenario.RudeA, rude.Contains(dialogue.Scenario.TagA));
            Assert.Equal(dialogue.Scenario.RudeB, rude.Contains(dialogue.Scenario.TagB));
        }
    }

    [Fact]
    public void The_same_seed_writes_the_same_bytes_and_another_seed_others()
    {
        Assert.Equal(Csv(7), Csv(7));
        Assert.NotEqual(Csv(7), Csv(8));
    }

    [Fact]
    public void The_products_reader_reads_the_files_back_as_they_were()
    {
        var rows = DialogueReader.Read(new MemoryStream(Csv(7)), "test.csv");
        Assert.Equal(Set.Rows(Split.Test), rows);
    }

    [Fact]
    public void Dice_reach_every_choice_about_equally_often_and_two_picks_differ()
    {
        var dice = Dice.For(1, "a purpose");
        var counts = Enumerable.Range(0, 10_000).Select(_ => dice.Below(10)).CountBy(n => n).ToDictionary();
        Assert.Equal(Enumerable.Range(0, 10), counts.Keys.Order());
        Assert.All(counts.Values, count => Assert.InRange(count, 850, 1150));
        for (var i = 0; i < 100; i++)
        {
            var (first, second) = dice.PickTwo([1, 2, 3]);
            Assert.NotEqual(first, second);
        }
    }

    private static byte[] Csv(int seed)
    {
        var path = Path.GetTempFileName();
        try
        {
            DialogueCsv.Write(path, new DialogueSet(seed, train: 10).Rows(Split.Test));
            return File.ReadAllBytes(path);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static IEnumerable<Dialogue> All() => [.. Set.Train, .. Set.Validation, .. Set.Test];

    private static string CombinationOf(Dialogue dialogue)
    {
        var (topic, values) = (dialogue.Scenario.Topic, dialogue.Scenario.Values);
        return string.Join('|', [topic.Name, .. topic.Slots.Keys.Select(slot => values[slot].Said)]);
    }
}
