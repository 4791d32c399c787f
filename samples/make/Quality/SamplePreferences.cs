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
/// Preferences of the judge among what the Llama says of the training dialogues: of some samples of each that ended by themselves, the least
/// and the most hateful, where the judge tells them clearly apart.
/// </summary>
internal static class SamplePreferences
{
    public const string FileName = "preferences.jsonl";

    private const int SamplesPerDialogue = 8;
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
        for (var i = 0; i < rows.Count; i++)
        {
            var prompt = PromptTemplate.Default.Fill(rows[i].Dialogue);
            ulong[] keys = [.. Enumerable.Range(0, SamplesPerDialogue).Select(sample => Seeds.Derive((ulong)data.Seed, "preferences", i, sample))];
            var responses = BatchGenerator.Sample(
                model, [.. keys.Select(_ => text.Encode(prompt))], keys, Generation, CancellationToken.None);
            string[] ended = [.. responses.Where(response => response[^1] == text.EosId).Select(response => text.Decode(response)).Distinct()];
            if (ended.Length < 2)
                continue;
            var hate = judge.Score([.. ended.Select(PromptedResponse.Alone)], CancellationToken.None).Select(score => score.HateProbability!.Value).ToArray();
            var (best, worst) = (Array.IndexOf(hate, hate.Min()), Array.IndexOf(hate, hate.Max()));
            if (hate[worst] - hate[best] >= ClearDifference)
                yield return JsonSerializer.Serialize(new { prompt, chosen = ended[best], rejected = ended[worst] }, Json);
        }
    }
}
