using RlhfFunctions.Contracts;
using RlhfFunctions.LocalHost.Hosting;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Text;
using Spectre.Console;
using static TorchSharp.torch;

namespace RlhfFunctions.LocalHost.Cli;

/// <summary>
/// For whoever has the original models and dialogues: the numbers the notebook "PPO with TinyLlama, a hate-speech classifier and
/// DialogSum" printed, beside those found here.
/// </summary>
internal static class VerifyCommand
{
    private const double LogitTolerance = 1e-4;

    private static readonly (string Token, int Id)[] SpecialTokens =
        [("<s>", 1), ("</s>", 2), ("[PAD]", 32_000), ("<|im_start|>", 32_001), ("<|im_end|>", 32_002)];

    /// <returns>The exit code: 1 when a number differs or a folder cannot be read.</returns>
    /// <exception cref="UserErrorException">No folder is named at all.</exception>
    public static int Run(VerifyOptions options, IAnsiConsole console)
    {
        if (options is { Model: null, Reward: null, DialogSum: null })
        {
            throw new UserErrorException("verify compares real weights and dialogues with the original notebook's numbers: "
                + "name at least one folder with --model, --reward or --dialogsum.");
        }

        var anchors = new List<Anchor>();
        Check("--model", options.Model, CheckModel);
        Check("--reward", options.Reward, CheckReward);
        Check("--dialogsum", options.DialogSum, CheckDialogues);

        var table = new Table().Border(TableBorder.Rounded);
        table.AddColumns("anchor", "expected", "found", "");
        foreach (var anchor in anchors)
        {
            string verdict = anchor.Holds ? "[green]✓[/]" : "[red]✗[/]";
            table.AddRow(Markup.Escape(anchor.What), Markup.Escape(anchor.Expected), Markup.Escape(anchor.Found), verdict);
        }

        console.Write(table);
        int wrong = anchors.Count(anchor => !anchor.Holds);
        console.WriteLine(wrong == 0 ? $"All {anchors.Count} anchors hold." : $"{wrong} of {anchors.Count} anchors do not hold.");
        return wrong == 0 ? 0 : 1;

        void Check(string option, string? folder, Func<string, IEnumerable<Anchor>> check)
        {
            if (folder is null)
            {
                console.WriteLine($"{option} was not given: its anchors are skipped.");
                return;
            }

            try
            {
                // What was found before a file turned out unreadable stands.
                foreach (var anchor in check(folder)) anchors.Add(anchor);
            }
            catch (Exception e) when (e is IOException or InvalidDataException or ArgumentException or KeyNotFoundException)
            {
                anchors.Add(new Anchor($"{option} can be read", "yes", e.Message, false));
            }
        }
    }

    private static IEnumerable<Anchor> CheckModel(string folder)
    {
        var config = LlamaConfig.Load(folder);
        var counts = PolicyCounts.Of(config, new LoraSettings());
        yield return Count("parameters of the base model", 1_100_060_672, counts.Base);
        yield return Count("trained by LoRA, r 16 on q_proj and v_proj", 2_252_800, counts.Adapter);
        yield return Count("parameters with LoRA", 1_102_313_472, counts.Base + counts.Adapter);
        yield return Count("… 4-bit layers counted in bytes", 617_871_360, counts.PackedBase + counts.Adapter);
        yield return Count("trained with the value head", 2_254_849, counts.Trained);
        yield return Count("… of all, 4-bit layers counted in bytes", 617_873_409, counts.PackedBase + counts.Trained);

        using (var files = HuggingFaceFolder.Open(folder))
        {
            var entries = WeightInventory.Of(config).Weights.Select(weight => files.Find(weight.Name)).OfType<SafetensorsEntry>();
            long held = entries.Sum(entry => entry.Shape.Aggregate(1L, (a, b) => a * b));
            yield return Count("numbers in the weights' files", 1_100_060_672, held);
        }

        var text = LlamaText.FromFolder(folder);
        foreach (var (token, id) in SpecialTokens)
            yield return new Anchor($"id of {token}", $"{id}", $"{text.FindId(token)}", text.FindId(token) == id);

        using (var model = LlamaForCausalLm.Load(folder, ModelPrecision.Nf4))
        {
            using var scope = NewDisposeScope();
            using var evaluation = no_grad();
            long[] prompt = Array.ConvertAll(text.Encode("Summary:\n"), id => (long)id);
            var logits = model.Logits(model.Hidden(tensor(prompt, 1, prompt.Length))); // [1, T, V]
            bool isFinite = logits.isfinite().all().item<bool>();
            yield return new Anchor("the weights load in 4 bits and give finite logits", "yes", isFinite ? "yes" : "no", isFinite);
        }
    }

    private static IEnumerable<Anchor> CheckReward(string folder)
    {
        var config = RobertaConfig.Load(folder);
        yield return Count("parameters of the reward model", 124_647_170, WeightInventory.Of(config).Count);
        string labels = string.Join(", ", config.Labels.OrderBy(label => label.Key).Select(label => label.Value));
        yield return new Anchor("its labels", "nothate, hate", labels, labels == "nothate, hate");

        var text = RobertaText.FromFolder(folder);
        using var model = RobertaForSequenceClassification.Load(folder);
        var expected = new (string Text, bool IsPadded, double[] Logits)[]
        {
            ("#Person 1# tells Tommy that he didn't like the movie.", false, [3.114102, -2.489619]),
            ("#Person 1# tells Tommy that he didn't like the movie.", true, [3.1141007, -2.4896181]),
            ("#Person 1# tells Tommy that the movie was terrible, dumb and stupid.", false, [-0.692117, 0.372271]),
        };
        foreach (var example in expected)
        {
            double[] logits = Logits(model, text, example.Text, example.IsPadded);
            string padding = example.IsPadded ? ", padded to the longest text" : "";
            for (int i = 0; i < example.Logits.Length; i++)
            {
                double found = i < logits.Length ? logits[i] : double.NaN;
                yield return Logit($"logit {i} of \"{example.Text}\"{padding}", example.Logits[i], found);
            }
        }
    }

    private static IEnumerable<Anchor> CheckDialogues(string folder)
    {
        var splits = DialogueReader.ReadFolder(folder);
        yield return Count("dialogues to train on", 12_460, splits.Train.Count);
        yield return Count("dialogues to validate on", 500, splits.Validation.Count);
        yield return Count("dialogues to test on", 1_500, splits.Test.Count);
        // The notebook takes the first rows, then those of more than 200 and at most 1,024 characters.
        yield return Count("… kept of the first 1,000 to train on", 822, DialogueSelection.Select(splits.Train, firstRows: 1000).Count);
        yield return Count("… kept of the first 100 to validate on", 84, DialogueSelection.Select(splits.Validation, firstRows: 100).Count);
        yield return Count("… kept of the first 100 to test on", 82, DialogueSelection.Select(splits.Test, firstRows: 100).Count);
    }

    /// <summary>The classifier's logits of one text.</summary>
    private static double[] Logits(RobertaForSequenceClassification model, RobertaText text, string sentence, bool isPadded)
    {
        using var scope = NewDisposeScope();
        using var evaluation = no_grad();
        int[] ids = text.Encode(sentence, model.Config.MaxLength);
        int width = isPadded ? model.Config.MaxLength : ids.Length;
        long[] row = [.. ids.Select(id => (long)id), .. Enumerable.Repeat((long)text.PadId, width - ids.Length)];
        bool[] isReal = [.. Enumerable.Range(0, width).Select(t => t < ids.Length)];
        var logits = model.Logits(tensor(row, 1, width), tensor(isReal, 1, width)); // [1, labels]
        return Array.ConvertAll(logits.data<float>().ToArray(), logit => (double)logit);
    }

    private static Anchor Count(string what, long expected, long found)
    {
        return new Anchor(what, $"{expected:N0}", $"{found:N0}", expected == found);
    }

    private static Anchor Logit(string what, double expected, double found)
    {
        return new Anchor(what, $"{expected:F6}", $"{found:F6}", Math.Abs(expected - found) <= LogitTolerance);
    }

    /// <summary>One number of the notebook and what stands for it here.</summary>
    private sealed record Anchor(string What, string Expected, string Found, bool Holds);
}
