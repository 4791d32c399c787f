namespace RlhfFunctions.Samples.Make.Dialogues;

public enum Split
{
    Train,
    Validation,
    Test,
}

/// <summary>
/// Deals every topic's combinations of slot values (which food for which reason, …) to the three splits, so that a test
/// dialogue is about something no training dialogue was about, although every single word of it was seen.
/// </summary>
public sealed class SplitPlan
{
    private readonly Dictionary<(Topic, Split), List<IReadOnlyDictionary<string, SlotValue>>> _combinations = [];

    public SplitPlan(int seed)
    {
        foreach (var topic in Grammar.Topics)
        {
            var all = Dice.For(seed, "split " + topic.Name).Shuffled(AllCombinations(topic));
            var held = all.Length / 10;
            _combinations[(topic, Split.Test)] = [.. all[..held]];
            _combinations[(topic, Split.Validation)] = [.. all[held..(2 * held)]];
            _combinations[(topic, Split.Train)] = [.. all[(2 * held)..]];
        }
    }

    public IReadOnlyList<IReadOnlyDictionary<string, SlotValue>> Combinations(Topic topic, Split split) => _combinations[(topic, split)];

    private static IEnumerable<IReadOnlyDictionary<string, SlotValue>> AllCombinations(Topic topic)
    {
        IEnumerable<Dictionary<string, SlotValue>> all = [[]];
        foreach (var (slot, values) in topic.Slots)
            all = all.SelectMany(partial => values.Select(v => new Dictionary<string, SlotValue>(partial) { [slot] = v }));
        return all;
    }
}
