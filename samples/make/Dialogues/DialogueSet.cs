using RlhfFunctions.Ml.Data;

namespace RlhfFunctions.Samples.Make.Dialogues;

/// <summary>The dialogues of one seed: whole splits, and an endless supply of further training dialogues.</summary>
public sealed class DialogueSet
{
    /// <summary>The notebook's filter: longer than 200 characters, at most 1024.</summary>
    public static bool HasFittingLength(string dialogue) => dialogue.Length is > 200 and <= 1024;

    private readonly int _seed;
    private readonly SplitPlan _plan;

    public DialogueSet(int seed, int train = 1000, int held = 100)
    {
        _seed = seed;
        _plan = new SplitPlan(seed);
        // Test first: what the small splits hold is no longer free for the large one.
        HashSet<string> taken = [];
        Test = Draw(Split.Test, "test", held, taken);
        Validation = Draw(Split.Validation, "validation", held, taken);
        Train = Draw(Split.Train, "train", train, taken);
    }

    public IReadOnlyList<Dialogue> Train { get; }
    public IReadOnlyList<Dialogue> Validation { get; }
    public IReadOnlyList<Dialogue> Test { get; }

    public IReadOnlyList<Dialogue> Of(Split split) => split switch { Split.Train => Train, Split.Validation => Validation, _ => Test };

    /// <summary>Other dialogues from the training split's combinations; none of them is in the validation or the test split.</summary>
    /// <param name="purpose">Another purpose gives other dialogues.</param>
    /// <param name="count">How many.</param>
    /// <param name="oddShare">Share of them in which other topics' things are spoken of.</param>
    public IReadOnlyList<Dialogue> MoreTraining(string purpose, int count, double oddShare = 0) =>
        Draw(Split.Train, purpose, count, [.. Validation.Concat(Test).Select(d => d.Text)], oddShare);

    public IReadOnlyList<DialogueRow> Rows(Split split) => [.. Of(split).Select((dialogue, i) => RowOf(split, dialogue, i))];

    private DialogueRow RowOf(Split split, Dialogue dialogue, int index)
    {
        var name = split.ToString().ToLowerInvariant();
        var reference = SummaryWriter.ForPolicy.Plain(Dice.For(_seed, "reference " + name, index), dialogue);
        return new DialogueRow($"{name}_{index}", dialogue.Text, reference.Text, dialogue.Scenario.Topic.Name);
    }

    private List<Dialogue> Draw(Split split, string purpose, int count, HashSet<string> taken, double oddShare = 0)
    {
        var result = new List<Dialogue>(count);
        for (var attempt = 0; result.Count < count; attempt++)
        {
            if (attempt > 100 * (count + 10))
                throw new InvalidOperationException($"The grammar cannot make {count} different dialogues for '{purpose}'.");
            var dice = Dice.For(_seed, purpose, attempt);
            var scenario = Scenario.Draw(dice, _plan, split);
            if (oddShare > 0 && dice.Chance(oddShare)) // without a share no draw either: it would change every dialogue that ships
                scenario = scenario.WithOddValues(dice);
            var dialogue = DialogueWriter.Write(dice, scenario);
            if (HasFittingLength(dialogue.Text) && SummaryWriter.CanTell(dialogue) && taken.Add(dialogue.Text))
                result.Add(dialogue);
        }
        return result;
    }
}
