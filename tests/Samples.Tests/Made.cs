using RlhfFunctions.Samples.Make;

namespace RlhfFunctions.Samples.Tests;

/// <summary>One seed's texts, made once for all tests: the real sizes of the data set, a small share of the corpus.</summary>
internal static class Made
{
    public static SampleSizes Sizes { get; } = new() { PretrainingDialogues = 1000, ClassifierSentences = 3000 };

    public static SampleData Data { get; } = new(seed: 7, Sizes);
}
