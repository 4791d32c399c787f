namespace RlhfFunctions.Samples.Make.Dialogues;

/// <summary>Everything that is decided before a word is said. A wants something of B.</summary>
public sealed record Scenario
{
    public required Topic Topic { get; init; }

    /// <summary>One value for each slot of the topic and of the common ones.</summary>
    public required IReadOnlyDictionary<string, SlotValue> Values { get; init; }

    /// <summary>Does B do what A wants?</summary>
    public required bool Agreed { get; init; }

    /// <summary>A's name when B says it; a nameless speaker stays #Person1# or #Person2#.</summary>
    public required string? NameA { get; init; }

    public required string? NameB { get; init; }
    public required bool RudeA { get; init; }
    public required bool RudeB { get; init; }

    /// <summary>B speaks first ("What can I do for you?") and is therefore #Person1#.</summary>
    public required bool BStarts { get; init; }

    public string TagA => BStarts ? "#Person2#" : "#Person1#";

    public string TagB => BStarts ? "#Person1#" : "#Person2#";

    /// <summary>How a summary calls A.</summary>
    public string A => NameA ?? TagA;

    public string B => NameB ?? TagB;

    public static Scenario Draw(Dice dice, SplitPlan plan, Split split)
    {
        var topic = dice.Pick(Grammar.Topics);
        var values = new Dictionary<string, SlotValue>(dice.Pick(plan.Combinations(topic, split)));
        foreach (var (slot, choices) in Grammar.Common.Slots)
            values[slot] = dice.Pick(choices);
        var (nameA, nameB) = dice.PickTwo(Grammar.Common.Names);
        return new Scenario
        {
            Topic = topic,
            Values = values,
            Agreed = dice.Chance(0.55),
            NameA = dice.Chance(0.65) ? nameA : null,
            NameB = dice.Chance(0.75) ? nameB : null,
            RudeA = dice.Chance(0.25),
            RudeB = dice.Chance(0.25),
            BStarts = dice.Chance(0.2),
        };
    }

    /// <summary>
    /// The same, but about things of other topics: a cinema that shows the fridge. There are too many of these to be learned by heart,
    /// so they teach to copy; and none of them is a combination of the topic's own, such as were dealt to validation and test.
    /// </summary>
    public Scenario WithOddValues(Dice dice)
    {
        var values = new Dictionary<string, SlotValue>(Values);
        foreach (var slot in Topic.Slots.Keys)
        {
            Topic other;
            do other = dice.Pick(Grammar.Topics);
            while (other == Topic);
            values[slot] = dice.Pick(dice.Pick([.. other.Slots.Values]));
        }
        return this with { Values = values };
    }
}
