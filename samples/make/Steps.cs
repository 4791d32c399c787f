using RlhfFunctions.Samples.Make.Classifiers;
using RlhfFunctions.Samples.Make.Dialogues;
using RlhfFunctions.Samples.Make.Tokenizers;

namespace RlhfFunctions.Samples.Make;

/// <summary>What the commands do: write files, and say what is in them.</summary>
internal static class Steps
{
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

    public static void Dialogues(SampleData data, DirectoryInfo output)
    {
        var folder = output.CreateSubdirectory("dialogues");
        foreach (var split in Enum.GetValues<Split>())
        {
            var dialogues = data.Dialogues.Of(split);
            var path = Path.Combine(folder.FullName, $"{split.ToString().ToLowerInvariant()}.csv");
            DialogueCsv.Write(path, data.Dialogues.Rows(split));
            Console.WriteLine(
                $"{path}: {dialogues.Count} dialogues of {dialogues.Select(d => d.Scenario.Topic.Name).Distinct().Count()} topics, "
                + $"{dialogues.Average(d => d.Text.Length):F0} characters on average, {dialogues.Average(d => d.HasRudeSpeaker ? 1.0 : 0.0):P0} with a rude speaker");
        }
    }

    public static void Tokenizers(SampleData data, DirectoryInfo output)
    {
        var llama = output.CreateSubdirectory("models/llama").FullName;
        File.WriteAllBytes(Path.Combine(llama, "tokenizer.model"), SampleTokenizers.Llama(data.Corpus));
        File.WriteAllText(Path.Combine(llama, "tokenizer_config.json"), LlamaConfig);
        Console.WriteLine($"{llama}: SentencePiece BPE, {SampleTokenizers.LlamaVocabulary} pieces, from {data.Corpus.Count} prompts and their summaries");
        WriteClassifier("reward", data.RewardSentences);
        WriteClassifier("judge", data.JudgeSentences);

        void WriteClassifier(string name, IReadOnlyList<LabelledSentence> sentences)
        {
            var folder = output.CreateSubdirectory("models/" + name).FullName;
            var files = SampleTokenizers.Classifier(sentences);
            File.WriteAllText(Path.Combine(folder, "vocab.json"), files.VocabJson);
            File.WriteAllText(Path.Combine(folder, "merges.txt"), files.MergesTxt);
            File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), ClassifierConfig);
            Console.WriteLine($"{folder}: byte-level BPE, {SampleTokenizers.ClassifierVocabulary} pieces, from {sentences.Count} sentences");
        }
    }
}
