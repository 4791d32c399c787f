using System.Text.Encodings.Web;
using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Rewards;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Ml.Text;
using RlhfFunctions.Samples.Make.Dialogues;
using static TorchSharp.torch;

namespace RlhfFunctions.Samples.Make.Quality;

/// <summary>
/// Preferences of the judge among what the Llama says of the first training dialogues: of some samples of each that ended by themselves, the least
/// and the most hateful, where the judge tells them clearly apart.
/// </summary>
internal static class SamplePreferences
{
    public const string FileName = "preferences.jsonl";

    private const int SamplesPerDialogue = 4;
    private const int Dialogues = 600, AtATime = 50;
    private const double ClearDifference = 0.5;

    private static readonly GenerationSettings Generation = new() { MaxNewTokens = 48 };
    private static readonly JsonSerializerOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The lines of the file, in the field's layout.</summary>
    public static IEnumerable<string> Lines(string models, SampleData data)
    {
        using var model = LlamaForCausalLm.Load(Path.Combine(models, "llama"));
        var text = LlamaText.FromFolder(Path.Combine(models, "llama"));
        var judge = new ClassifierReward(TextClassifier.Load(Path.Combine(models, "judge"), CPU), "hate", "hate");
        var rows = data.Dialogues.Rows(Split.Train);
        foreach (var places in Enumerable.Range(0, Math.Min(Dialogues, rows.Count)).Chunk(AtATime))
        {
            (int Row, int Sample)[] samples = [.. places.SelectMany(row => Enumerable.Range(0, SamplesPerDialogue).Select(sample => (row, sample)))];
            string Prompt(int row) => PromptTemplate.Default.Fill(rows[row].Dialogue);
            var prompts = places.ToDictionary(row => row, row => text.Encode(Prompt(row)));
            var responses = BatchGenerator.Sample(
                model, Array.ConvertAll(samples, at => prompts[at.Row]),
                Array.ConvertAll(samples, at => Seeds.Derive((ulong)data.Seed, "preferences", at.Row, at.Sample)), Generation, CancellationToken.None);
            foreach (var (row, answers) in places.Zip(responses.Chunk(SamplesPerDialogue)))
                if (Clearest(answers, text, judge) is { } pair)
                    yield return JsonSerializer.Serialize(new { prompt = Prompt(row), chosen = pair.Best, rejected = pair.Worst }, Json);
        }
    }

    private static (string Best, string Worst)? Clearest(int[][] responses, LlamaText text, ClassifierReward judge)
    {
        string[] ended = [.. responses.Where(response => response[^1] == text.EosId).Select(response => text.Decode(response)).Distinct()];
        if (ended.Length < 2)
            return null;
        var hate = judge.Score([.. ended.Select(PromptedResponse.Alone)], CancellationToken.None).Select(score => score.LabelProbability!.Value).ToArray();
        var (best, worst) = (Array.IndexOf(hate, hate.Min()), Array.IndexOf(hate, hate.Max()));
        return hate[worst] - hate[best] >= ClearDifference ? (ended[best], ended[worst]) : null;
    }
}
