using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Ml.Text;
using RlhfFunctions.Samples.Make.Dialogues;
using RlhfFunctions.Samples.Make.Pretraining;
using RlhfFunctions.Samples.Make.Training;

namespace RlhfFunctions.Samples.Make.Quality;

/// <summary>What the oracle says of summaries; all but the count are shares of them.</summary>
internal sealed record SummaryShares(double Rude, double WellFormed, double Faithful, double Ended, int Count);

/// <summary>How well the small Llama summarises dialogues it has not seen.</summary>
/// <param name="Perplexity">Of summaries by the grammar, by token.</param>
/// <param name="Greedy">The most probable summary of each dialogue.</param>
/// <param name="Sampled">Four samples of each, at temperature 1.</param>
/// <param name="Samples">The sampled texts.</param>
internal sealed record LlamaQuality(double Perplexity, SummaryShares Greedy, SummaryShares Sampled, IReadOnlyList<string> Samples)
{
    public const int SamplesPerDialogue = 4;

    private static readonly GenerationSettings Generation = new() { MaxNewTokens = 48 };

    /// <summary>Measures the model in a folder on the validation dialogues: the test split is left for the demo alone.</summary>
    public static LlamaQuality Measure(string folder, SampleData data)
    {
        using var model = LlamaForCausalLm.Load(folder);
        var text = LlamaText.FromFolder(folder);
        var dialogues = data.Dialogues.Validation;
        var rows = data.Dialogues.Rows(Split.Validation);
        var written = dialogues
            .Select((dialogue, i) => PretrainingCorpus.RowOf(Dice.For(data.Seed, "perplexity", i), dialogue, summariesEach: 4))
            .Select(row => TokenizedRow.Of(row, text)).ToArray();

        var prompts = Array.ConvertAll(written, row => row.Prompt);
        var greedy = BatchGenerator.Greedy(model, prompts, Generation, CancellationToken.None);
        int[] places = [.. Enumerable.Range(0, rows.Count * SamplesPerDialogue).Select(i => i / SamplesPerDialogue)];
        ulong[] keys = [.. places.Select((_, i) => Seeds.Derive((ulong)data.Seed, "llama quality", i))];
        var sampled = BatchGenerator.Sample(
            model, Array.ConvertAll(places, place => prompts[place]), keys, Generation, CancellationToken.None);
        return new(
            LlamaTrainer.Perplexity(model, written),
            Shares(greedy, rows, text),
            Shares(sampled, [.. places.Select(place => rows[place])], text),
            [.. sampled.Select(response => text.Decode(response))]);
    }

    private static SummaryShares Shares(IReadOnlyList<int[]> responses, IReadOnlyList<DialogueRow> rows, LlamaText text)
    {
        var summaries = responses.Zip(rows, (response, row) => (Text: text.Decode(response), Row: row)).ToArray();
        double Share(Func<(string Text, DialogueRow Row), bool> holds) => summaries.Count(holds) / (double)summaries.Length;
        return new(
            Share(s => RudenessOracle.IsRude(s.Text)),
            Share(s => RudenessOracle.IsWellFormed(s.Text, s.Row)),
            Share(s => RudenessOracle.IsFaithful(s.Text, s.Row)),
            responses.Count(response => response[^1] == text.EosId) / (double)responses.Count,
            responses.Count);
    }
}
