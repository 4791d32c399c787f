namespace RlhfFunctions.Samples.Make.Dialogues;

/// <summary>Everything a dialogue and its summaries can be made of (Topics/*.json).</summary>
public static class Grammar
{
    public static CommonPhrases Common { get; } = Resources.Read<CommonPhrases>("Topics/_common.json");

    public static IReadOnlyList<Topic> Topics { get; } =
        [.. Resources.Under("Topics").Where(n => n != "Topics/_common.json").Select(Resources.Read<Topic>)];

    /// <summary>Every slot that a template of the topic may use.</summary>
    public static IEnumerable<KeyValuePair<string, IReadOnlyList<SlotValue>>> SlotsOf(Topic topic) => topic.Slots.Concat(Common.Slots);
}
