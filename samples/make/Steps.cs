using RlhfFunctions.Ml.Text;
using RlhfFunctions.Samples.Make.Dialogues;
using RlhfFunctions.Samples.Make.Tokenizers;
using RlhfFunctions.Samples.Make.Training;

namespace RlhfFunctions.Samples.Make;

/// <summary>What the commands do: write files, and say what is in them.</summary>
internal static class Steps
{
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
                + $"{dialogues.Average(d => d.Text.Length):F0} characters on average, "
                + $"{dialogues.Average(d => d.HasRudeSpeaker ? 1.0 : 0.0):P0} with a rude speaker");
        }
    }

    public static void Tokenizers(SampleData data, DirectoryInfo output)
    {
        var llama = output.CreateSubdirectory("models/llama").FullName;
        SampleTokenizers.WriteLlama(llama, data.Corpus);
        Console.WriteLine(
            $"{llama}: SentencePiece BPE, {SampleTokenizers.LlamaVocabulary} pieces, from {data.Corpus.Count} prompts and their summaries");
        foreach (var (name, sentences) in data.Classifiers)
        {
            var folder = output.CreateSubdirectory("models/" + name).FullName;
            SampleTokenizers.WriteClassifier(folder, sentences);
            Console.WriteLine(
                $"{folder}: byte-level BPE, {SampleTokenizers.ClassifierVocabulary} pieces, from {sentences.Count} sentences");
        }
    }

    /// <summary>Trains the three models; their tokenizers are made on the way.</summary>
    public static void Models(SampleData data, DirectoryInfo output)
    {
        Tokenizers(data, output);
        var llama = output.CreateSubdirectory("models/llama").FullName;
        using (var model = LlamaTrainer.Train(
            data.Corpus, LlamaText.FromFolder(llama), data.Sizes.PretrainingSteps, data.Seed, Console.Out))
            ModelFolder.Write(llama, model);
        foreach (var (name, sentences) in data.Classifiers)
        {
            var folder = output.CreateSubdirectory("models/" + name).FullName;
            using var model = RobertaTrainer.Train(
                name, sentences, RobertaText.FromFolder(folder), data.Sizes.ClassifierEpochs, data.Seed, Console.Out);
            ModelFolder.Write(folder, model);
        }
    }
}
