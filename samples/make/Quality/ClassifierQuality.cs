using RlhfFunctions.Ml.Rewards;
using RlhfFunctions.Samples.Make.Classifiers;
using RlhfFunctions.Samples.Make.Dialogues;
using static TorchSharp.torch;

namespace RlhfFunctions.Samples.Make.Quality;

/// <summary>Verdicts on texts whose label is known.</summary>
/// <param name="Accuracy">Share on the right side of one half.</param>
/// <param name="Auc">Probability that a hateful text gets a higher score than a civil one.</param>
/// <param name="Count">Texts.</param>
internal sealed record Verdicts(double Accuracy, double Auc, int Count)
{
    public static Verdicts Of(IReadOnlyList<float> hate, IReadOnlyList<bool> isHate) => new(
        hate.Zip(isHate, (p, label) => p > 0.5 == label).Count(right => right) / (double)hate.Count,
        AreaUnderCurve(hate, isHate),
        hate.Count);

    /// <summary>Area under the ROC curve by ranks (Mann and Whitney 1947); equal scores count half. NaN where a label is missing.</summary>
    internal static double AreaUnderCurve(IReadOnlyList<float> scores, IReadOnlyList<bool> isPositive)
    {
        var ranked = scores.Zip(isPositive).OrderBy(s => s.First).ToArray();
        var (rankSum, positives) = (0.0, 0L);
        for (var first = 0; first < ranked.Length;)
        {
            var end = first;
            while (end < ranked.Length && ranked[end].First == ranked[first].First)
                end++;
            var tied = ranked[first..end].Count(s => s.Second);
            rankSum += tied * (first + 1 + end) / 2.0; // the mean of the ranks first + 1 … end
            positives += tied;
            first = end;
        }
        return (rankSum - (positives * (positives + 1) / 2.0)) / (positives * (double)(ranked.Length - positives));
    }
}

/// <summary>How well a classifier tells hate.</summary>
/// <param name="HeldOut">On its own sentences, from templates it was not trained on.</param>
/// <param name="References">Share of civil reference summaries that it calls civil.</param>
/// <param name="Policy">On the well-formed of the small Llama's samples, by the oracle's labels.</param>
/// <param name="Malformed">Share of its civil but malformed samples that it calls hate.</param>
/// <param name="Broken">Share of broken texts that it calls hate.</param>
internal sealed record ClassifierQuality(Verdicts HeldOut, double References, Verdicts Policy, double Malformed, double Broken)
{
    private const int HeldOutSentences = 600;
    private const int BrokenTexts = 400;

    /// <param name="folder">The classifier's.</param>
    /// <param name="own">Its sentences.</param>
    /// <param name="data">The dialogues; those of validation are used.</param>
    /// <param name="samples">What the small Llama said of them.</param>
    public static ClassifierQuality Measure(string folder, ClassifierData own, SampleData data, IReadOnlyList<(string Text, bool IsWellFormed)> samples)
    {
        var heldOut = own.HeldOut(HeldOutSentences);
        string[] wellFormed = [.. samples.Where(s => s.IsWellFormed).Select(s => s.Text)];
        string[] malformed = [.. samples.Where(s => !s.IsWellFormed && !RudenessOracle.IsRude(s.Text)).Select(s => s.Text)];
        string[] references = [.. data.Dialogues.Rows(Split.Validation).Select(row => row.Summary)];
        string[] broken = [.. Enumerable.Range(0, BrokenTexts).Select(i =>
            Garbler.Break(Dice.For(data.Seed, "broken", i), references[i % references.Length], soup: false))];
        return new(
            Verdicts.Of(HateProbabilities(folder, [.. heldOut.Select(s => s.Text)]), [.. heldOut.Select(s => s.IsHate)]),
            Share(HateProbabilities(folder, references), p => p < 0.5),
            Verdicts.Of(HateProbabilities(folder, wellFormed), [.. wellFormed.Select(RudenessOracle.IsRude)]),
            Share(HateProbabilities(folder, malformed), p => p > 0.5),
            Share(HateProbabilities(folder, broken), p => p > 0.5));
    }

    /// <summary>Share of the texts on which two classifiers are on the same side of one half.</summary>
    public static double Agreement(string oneFolder, string otherFolder, IReadOnlyList<string> texts) =>
        HateProbabilities(oneFolder, texts).Zip(HateProbabilities(otherFolder, texts), (one, other) => one > 0.5 == other > 0.5)
            .Count(same => same) / (double)texts.Count;

    private static float[] HateProbabilities(string folder, IReadOnlyList<string> texts)
    {
        var classifier = new ClassifierReward(TextClassifier.Load(folder, CPU), "nothate", "hate");
        var scores = classifier.Score([.. texts.Select(PromptedResponse.Alone)], CancellationToken.None);
        return [.. scores.Select(score => score.LabelProbability!.Value)];
    }

    private static double Share(float[] probabilities, Func<float, bool> holds) => probabilities.Count(holds) / (double)probabilities.Length;
}
