using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Text;
using RlhfFunctions.Samples.Make.Dialogues;
using RlhfFunctions.Samples.Make.Quality;
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
        foreach (var recipe in data.Classifiers)
        {
            var folder = output.CreateSubdirectory("models/" + recipe.Name).FullName;
            SampleTokenizers.WriteClassifier(folder, recipe.Sentences);
            Console.WriteLine(
                $"{folder}: byte-level BPE, {SampleTokenizers.ClassifierVocabulary} pieces, from {recipe.Sentences.Count} sentences");
        }
    }

    /// <summary>Trains the three models; their tokenizers are made on the way.</summary>
    public static void Models(SampleData data, DirectoryInfo output)
    {
        Tokenizers(data, output);
        Llama(data, output);
        Classifiers(data, output);
        Compare(data, output);
    }

    /// <summary>Lets the judge choose among samples of the Llama; both must be there.</summary>
    public static void Preferences(SampleData data, DirectoryInfo output)
    {
        var path = Path.Combine(output.CreateSubdirectory("dialogues").FullName, SamplePreferences.FileName);
        string[] lines = [.. SamplePreferences.Lines(Path.Combine(output.FullName, "models"), data)];
        File.WriteAllText(path, string.Concat(lines.Select(line => line + "\n")));
        Console.WriteLine($"{path}: {lines.Length} preferences of the judge among samples of the Llama");
    }

    /// <summary>Measures the models and writes their cards; beside those that ship with the product, where that is not the same folder.</summary>
    public static void Compare(SampleData data, DirectoryInfo output)
    {
        var made = Path.Combine(output.FullName, "models");
        var models = SampleModels.Measure(made, data);
        models.WriteCards(made, data);

        var shipped = Path.Combine(Repository.Root, "samples", "models");
        var isApart = Directory.Exists(shipped) && Path.GetFullPath(shipped) != Path.GetFullPath(made);
        var others = isApart ? SampleModels.Measure(shipped, data).Figures() : null;
        Console.WriteLine($"{"",-52}{"made",10}{(isApart ? "shipped" : ""),10}");
        foreach (var (i, (name, value)) in models.Figures().Index())
            Console.WriteLine($"{name,-52}{value,10:F4}{others?[i].Value,10:F4}");
        if (!isApart)
            return;
        foreach (var file in Directory.EnumerateFiles(made, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            var name = Path.GetRelativePath(made, file);
            var other = Path.Combine(shipped, name);
            var isSame = File.Exists(other) && File.ReadAllBytes(file).AsSpan().SequenceEqual(File.ReadAllBytes(other));
            Console.WriteLine($"{name,-52}{(isSame ? "same bytes as shipped" : "differs from shipped")}");
        }
    }

    /// <summary>Prints what the oracle says of each run, and whether what the README promises holds.</summary>
    /// <param name="runs">What the demo wrote.</param>
    /// <param name="dialogues">The held-out dialogues.</param>
    /// <param name="show">How many malformed summaries of each run are printed.</param>
    /// <returns>0: it holds for every run.</returns>
    public static int Check(IEnumerable<DirectoryInfo> runs, FileInfo dialogues, int show)
    {
        var rows = DialogueReader.ReadFile(dialogues.FullName);
        var allHold = true;
        foreach (var run in runs)
        {
            var check = RunCheck.Read(run.FullName, rows);
            var lines = check.Lines();
            allHold &= lines.All(line => line.Holds != false);
            Console.WriteLine($"{run.FullName,-52}{"before",10}{"after",10}");
            foreach (var (what, before, after, holds) in lines)
                Console.WriteLine($"{what,-52}{before,10:F3}{after,10:F3}{(holds is null ? "" : holds.Value ? "  ✓" : "  ✗"),4}");
            foreach (var text in check.Malformed.Take(show))
                Console.WriteLine($"  malformed: {text}");
        }
        return allHold ? 0 : 1;
    }

    /// <summary>Lets policies learn from rewards with a planted fault, and from the honest one, under watch.</summary>
    /// <param name="request">The run request whose settings all share.</param>
    /// <param name="seeds">Of the runs with a fault.</param>
    /// <param name="honestSeeds">Of the runs without one.</param>
    /// <returns>0: faults are caught and honest runs are not stopped, as often as promised.</returns>
    public static int Hacks(FileInfo request, int[] seeds, int[] honestSeeds)
    {
        var runs = new List<WatchedRun>();
        foreach (var run in HackSuite.Run(request.FullName, seeds, honestSeeds))
        {
            Console.WriteLine($"{run.Reward}, seed {run.Seed}: {run.Steps} steps, checkpoint {run.Chosen}. {run.Alarm ?? "Not stopped."}");
            runs.Add(run);
        }
        var (table, holds) = HackSuite.Sum(runs);
        Console.WriteLine($"\n{table}");
        return holds ? 0 : 1;
    }

    /// <summary>Pre-trains the Llama; its tokenizer lies there already.</summary>
    public static void Llama(SampleData data, DirectoryInfo output)
    {
        var folder = Path.Combine(output.FullName, "models/llama");
        using var model = LlamaTrainer.Train(
            data.Corpus, LlamaText.FromFolder(folder), data.Sizes.PretrainingSteps, data.Seed, Console.Out);
        ModelFolder.Write(folder, model);
    }

    /// <summary>Trains reward model and judge; their tokenizers lie there already.</summary>
    public static void Classifiers(SampleData data, DirectoryInfo output)
    {
        foreach (var recipe in data.Classifiers)
        {
            var folder = Path.Combine(output.FullName, "models", recipe.Name);
            using var model = RobertaTrainer.Train(
                recipe, RobertaText.FromFolder(folder), data.Seed, Console.Out);
            ModelFolder.Write(folder, model);
        }
    }
}
