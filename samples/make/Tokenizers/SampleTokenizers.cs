using RlhfFunctions.Samples.Make.Classifiers;
using RlhfFunctions.Samples.Make.Pretraining;

namespace RlhfFunctions.Samples.Make.Tokenizers;

/// <summary>The tokenizers of the three models, each trained on what its model will read.</summary>
public static class SampleTokenizers
{
    public const int LlamaVocabulary = 1280;
    public const int ClassifierVocabulary = 800;

    /// <summary>
    /// Over the prompts and the summaries, which each begin a text of their own: prompt and response are encoded apart,
    /// so that a name at the start of a response is the piece it is elsewhere.
    /// </summary>
    public static byte[] Llama(IReadOnlyList<PretrainingRow> corpus) =>
        SentencePieceTrainer.Train(corpus.SelectMany(row => row.Summaries.Select(s => s.Text).Prepend(row.Prompt)), LlamaVocabulary);

    public static ByteLevelFiles Classifier(IReadOnlyList<LabelledSentence> sentences) =>
        ByteLevelTrainer.Train(sentences.Select(s => s.Text), ClassifierVocabulary);
}
