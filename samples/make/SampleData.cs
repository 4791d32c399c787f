using RlhfFunctions.Samples.Make.Classifiers;
using RlhfFunctions.Samples.Make.Dialogues;
using RlhfFunctions.Samples.Make.Pretraining;

namespace RlhfFunctions.Samples.Make;

/// <summary>How much of everything is made. The defaults make the samples that ship; a test takes less.</summary>
public sealed record SampleSizes
{
    public int TrainDialogues { get; init; } = 1000;

    /// <summary>Of validation and of test.</summary>
    public int HeldDialogues { get; init; } = 100;

    public int PretrainingDialogues { get; init; } = 32_000;

    public int ClassifierSentences { get; init; } = 64_000;

    public int PretrainingSteps { get; init; } = 5000;
}

/// <param name="Name">"reward" or "judge".</param>
/// <param name="Sentences">What it learns from.</param>
/// <param name="LabelSmoothing">Share of a label that goes to the other.</param>
public sealed record ClassifierRecipe(string Name, IReadOnlyList<LabelledSentence> Sentences, double LabelSmoothing);

/// <summary>All texts that one seed gives; each part is written when it is first asked for.</summary>
public sealed class SampleData(int seed, SampleSizes sizes)
{
    private readonly Lazy<DialogueSet> _dialogues = new(() => new DialogueSet(seed, sizes.TrainDialogues, sizes.HeldDialogues));
    private IReadOnlyList<PretrainingRow>? _corpus;
    private ClassifierData? _reward;
    private ClassifierData? _judge;

    public int Seed => seed;

    public SampleSizes Sizes => sizes;

    public DialogueSet Dialogues => _dialogues.Value;

    public IReadOnlyList<PretrainingRow> Corpus => _corpus ??= PretrainingCorpus.Build(seed, Dialogues, sizes.PretrainingDialogues);

    public ClassifierData Reward => _reward ??= ClassifierData.Reward(seed, Dialogues);

    public ClassifierData Judge => _judge ??= ClassifierData.Judge(seed, Dialogues);

    public IReadOnlyList<LabelledSentence> RewardSentences => Reward.Train(sizes.ClassifierSentences);

    public IReadOnlyList<LabelledSentence> JudgeSentences => Judge.Train(sizes.ClassifierSentences);

    /// <summary>What the two classifiers are made of.</summary>
    public IReadOnlyList<ClassifierRecipe> Classifiers =>
    [
        // A reward model that is never quite sure leaves the policy a slope to learn on; a judge should say what it thinks.
        new("reward", RewardSentences, LabelSmoothing: 0.05),
        new("judge", JudgeSentences, LabelSmoothing: 0.01),
    ];
}
