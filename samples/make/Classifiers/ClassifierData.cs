using RlhfFunctions.Samples.Make.Dialogues;

namespace RlhfFunctions.Samples.Make.Classifiers;

/// <summary>
/// Labelled sentences for the two classifiers. The <b>reward</b> learns from summaries of training dialogues and from its own
/// sentences; the <b>judge</b> sees neither the summary grammar nor the reward's templates or rude words, so that it can
/// contradict the reward. Broken texts are labelled hate: they must earn nothing.
/// </summary>
public sealed class ClassifierData
{
    private readonly string _name;
    private readonly int _seed;
    private readonly Func<Dice, bool, LabelledSentence> _story;

    private ClassifierData(string name, int seed, SentenceMaker maker, Func<Dice, bool, LabelledSentence> story) =>
        (_name, _seed, Maker, _story) = (name, seed, maker, story);

    public SentenceMaker Maker { get; }

    public static ClassifierData Reward(int seed, DialogueSet dialogues)
    {
        var maker = new SentenceMaker(SentenceBook.Reward, Lexicon.RewardRude);
        var writer = new SummaryWriter(maker.RudeWordsOf);
        var told = dialogues.MoreTraining("reward", 2000);
        return new("reward", seed, maker, (dice, rude) =>
        {
            var dialogue = dice.Pick(told);
            return new(writer.Write(dice, dialogue, rude).Text, rude);
        });
    }

    public static ClassifierData Judge(int seed)
    {
        var maker = new SentenceMaker(SentenceBook.Judge, Lexicon.JudgeRude);
        return new("judge", seed, maker, maker.Story);
    }

    public IReadOnlyList<LabelledSentence> Train(int count) => [.. Enumerable.Range(0, count).Select(i => Draw(Dice.For(_seed, _name + " sentences", i)))];

    /// <summary>Clean sentences from templates that training never shows, half of them rude.</summary>
    public IReadOnlyList<LabelledSentence> HeldOut(int count) => [.. Enumerable.Range(0, count).Select(i =>
    {
        var dice = Dice.For(_seed, _name + " held-out", i);
        return dice.Chance(0.5) ? Maker.Remark(dice, rude: true, heldOut: true)
            : dice.Chance(0.5) ? Maker.Remark(dice, rude: false, heldOut: true)
            : Maker.Plain(dice, heldOut: true);
    })];

    private LabelledSentence Draw(Dice dice)
    {
        var rude = dice.Chance(0.5);
        var kind = dice.Below(100);
        var sentence = kind switch
        {
            < 58 => _story(dice, rude),
            < 82 => Maker.Remark(dice, rude),
            < 93 => Maker.Plain(dice),
            _ => _story(dice, rude),
        };
        if (kind >= 93)
            return new(Garbler.Break(dice, sentence.Text), IsHate: true);
        if (!dice.Chance(0.12))
            return sentence;
        var slipped = Garbler.Slip(dice, sentence.Text);
        return new(slipped, Maker.IsRude(slipped)); // the slip may have lost the one rude word
    }
}
