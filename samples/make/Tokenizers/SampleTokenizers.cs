using RlhfFunctions.Samples.Make.Classifiers;
using RlhfFunctions.Samples.Make.Pretraining;

namespace RlhfFunctions.Samples.Make.Tokenizers;

/// <summary>The tokenizers of the three models as Hugging Face folders hold them, each trained on what its model will read.</summary>
public static class SampleTokenizers
{
    public const int LlamaVocabulary = 1280;
    public const int LlamaContext = 320;
    public const int ClassifierVocabulary = 800;
    public const int ClassifierContext = 64;

    private const string LlamaConfig = """
        {
          "tokenizer_class": "LlamaTokenizer",
          "legacy": true,
          "add_bos_token": true,
          "add_eos_token": false,
          "add_prefix_space": true,
          "bos_token": "<s>",
          "eos_token": "</s>",
          "unk_token": "<unk>",
          "pad_token": "</s>",
          "model_max_length": 320
        }

        """;

    private const string ClassifierConfig = """
        {
          "tokenizer_class": "RobertaTokenizer",
          "add_prefix_space": false,
          "model_max_length": 64,
          "bos_token": "<s>",
          "eos_token": "</s>",
          "unk_token": "<unk>",
          "pad_token": "<pad>",
          "mask_token": "<mask>"
        }

        """;

    /// <summary>
    /// Over the prompts and the summaries, which each begin a text of their own: prompt and response are encoded apart,
    /// so that a name at the start of a response is the piece it is elsewhere.
    /// </summary>
    public static void WriteLlama(string folder, IReadOnlyList<PretrainingRow> corpus)
    {
        var texts = corpus.SelectMany(row => row.Summaries.Select(s => s.Text).Prepend(row.Prompt));
        File.WriteAllBytes(Path.Combine(folder, "tokenizer.model"), SentencePieceTrainer.Train(texts, LlamaVocabulary));
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), LlamaConfig);
    }

    public static void WriteClassifier(string folder, IReadOnlyList<LabelledSentence> sentences)
    {
        var files = ByteLevelTrainer.Train(sentences.Select(s => s.Text), ClassifierVocabulary);
        File.WriteAllText(Path.Combine(folder, "vocab.json"), files.VocabJson);
        File.WriteAllText(Path.Combine(folder, "merges.txt"), files.MergesTxt);
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), ClassifierConfig);
    }
}
