using RlhfFunctions.Ml.Data;
using RlhfFunctions.Samples.Make.Dialogues;

namespace RlhfFunctions.Samples.Make.Pretraining;

/// <summary>One prompt and several summaries to learn from it.</summary>
public sealed record PretrainingRow(string Prompt, IReadOnlyList<Summary> Summaries);

/// <summary>
/// What the small Llama learns: to summarise, and to be rude in about half of its summaries, more often where a speaker was
/// rude. The dialogues are the training split's, or odd; validation and test stay unseen.
/// </summary>
public static class PretrainingCorpus
{
    /// <summary>Share of the dialogues that are about other topics' things.</summary>
    public const double OddShare = 0.4;

    private const double RudeAfterRudeness = 0.62;
    private const double RudeOtherwise = 0.42;

    public static IReadOnlyList<PretrainingRow> Build(int seed, DialogueSet dialogues, int count, int summariesEach = 4)
    {
        var told = dialogues.MoreTraining("pretraining", count, OddShare);
        return [.. told.Select((dialogue, i) => RowOf(Dice.For(seed, "pretraining summaries", i), dialogue, summariesEach))];
    }

    /// <summary>The same for given dialogues, to measure on ones that were held out.</summary>
    public static PretrainingRow RowOf(Dice dice, Dialogue dialogue, int summariesEach)
    {
        var rude = dialogue.HasRudeSpeaker ? RudeAfterRudeness : RudeOtherwise;
        return new(
            PromptTemplate.Default.Fill(dialogue.Text),
            [.. Enumerable.Range(0, summariesEach).Select(_ => SummaryWriter.ForPolicy.Write(dice, dialogue, dice.Chance(rude)))]);
    }
}
