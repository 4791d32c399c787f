using RlhfFunctions.Samples.Make.Dialogues;

namespace RlhfFunctions.Samples.Make.Classifiers;

/// <summary>
/// Labelled sentences for the two classifiers. The <b>reward</b> learns from summaries of training dialogues and from its own
/// sentences; the <b>judge</b> sees neither the summary grammar nor the reward's templates or rude words, so that it can
/// contradict the reward. Broken texts are labelled hate: they must earn nothing.
/// </summary>
public sealed class ClassifierData
{
    private const double SplicedShare = 0.12;
    private const double SlipShare = 0.12;

    private readonly string _name;
    private readonly int _seed;
    private readonly bool _soup;
    private readonly double _brokenShare;
    private readonly Func<Dice, bool, LabelledSentence> _story;

    private ClassifierData(string name, int seed, SentenceMaker maker, bool soup, double brokenShare, Func<Dice, bool, LabelledSentence> story) =>
        (_name, _seed, Maker, _soup, _brokenShare, _story) = (name, seed, maker, soup, brokenShare, story);

    public SentenceMaker Maker { get; }

    public static ClassifierData Reward(int seed, DialogueSet dialogues)
    {
        var maker = new SentenceMaker(SentenceBook.Reward, Lexicon.RewardRude);
        var writer = new SummaryWriter(maker.RudeWordsOf);
        var told = dialogues.MoreTraining("reward", 2000);
        return new("reward", seed, maker, soup: true, brokenShare: 0.14, (dice, rude) =>
        {
            var dialogue = dice.Pick(told);
            return new(writer.Write(dice, dialogue, rude).Text, rude);
        });
    }

    /// <summary>
    /// The judge knows the dialogues' world from what is said in it, not from how summaries tell it. It is spared word soup:
    /// the grammar of summaries is foreign to it, and what is foreign should not look broken.
    /// </summary>
    public static ClassifierData Judge(int seed, DialogueSet dialogues)
    {
        var maker = new SentenceMaker(SentenceBook.Judge, Lexicon.JudgeRude);
        var heard = dialogues.MoreTraining("judge", 2000)
            .Where(d => !d.HasRudeSpeaker)
            .SelectMany(d => d.Text.Split('\n'))
            .Select(line => line[(line.IndexOf(": ", StringComparison.Ordinal) + 2)..])
            .ToList();
        return new("judge", seed, maker, soup: false, brokenShare: 0.07, (dice, rude) =>
            dice.Chance(0.4) ? maker.Overheard(dice, dice.Pick(heard), rude) : maker.Story(dice, rude));
    }

    public IReadOnlyList<LabelledSentence> Train(int count) =>
        [.. Enumerable.Range(0, count).Select(i => Draw(Dice.For(_seed, _name + " sentences", i)))];

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
        if (dice.Chance(_brokenShare))
            return new(Garbler.Break(dice, _story(dice, rude).Text, soup: _soup), IsHate: true);
        // Only who knows how summaries are told can tell a word that is none from one never heard.
        if (_soup && dice.Chance(SplicedShare))
            return new(Garbler.Splice(dice, _story(dice, rude).Text), IsHate: true);
        var sentence = dice.Below(100) switch
        {
            < 62 => _story(dice, rude),
            < 88 => Maker.Remark(dice, rude),
            _ => Maker.Plain(dice),
        };
        if (!dice.Chance(SlipShare))
            return sentence;
        var slipped = Garbler.Slip(dice, sentence.Text);
        return new(slipped, Maker.IsRude(slipped)); // the slip may have lost the one rude word
    }
}
