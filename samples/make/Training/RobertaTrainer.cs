using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Text;
using RlhfFunctions.Samples.Make.Tokenizers;
using static TorchSharp.torch;

namespace RlhfFunctions.Samples.Make.Training;

/// <summary>Trains a small RoBERTa to tell hate from nothate, from random weights.</summary>
internal static class RobertaTrainer
{
    public const int BatchSize = 32;
    private const double LearningRate = 7e-4;
    private const double WeightDecay = 0.01;
    private const double SquareDecay = 0.999;
    private const int Warmup = 50;

    /// <summary>How it is trained, for its card.</summary>
    public static string Settings =>
        $"AdamW with learning rate {LearningRate}, {Warmup} steps of warm-up, cosine decay, weight decay {WeightDecay}";

    public static RobertaConfig Config { get; } = new()
    {
        VocabularySize = SampleTokenizers.ClassifierVocabulary,
        HiddenSize = 128,
        IntermediateSize = 512,
        Layers = 2,
        Heads = 4,
        PositionRows = SampleTokenizers.ClassifierContext + 2,
        Labels = new Dictionary<int, string> { [0] = "nothate", [1] = "hate" },
        LayerNormEpsilon = 1e-5,
        TokenTypes = 1,
        PadId = 1,
    };

    /// <summary>The trained classifier; the caller disposes it.</summary>
    /// <param name="recipe">At least one batch of sentences. Its name goes into the random numbers and the lines of progress.</param>
    /// <param name="text">The tokenizer of the same sentences.</param>
    /// <param name="seed">Of the first weights and of the order.</param>
    /// <param name="progress">Takes a line now and then.</param>
    public static RobertaForSequenceClassification Train(
        ClassifierRecipe recipe, RobertaText text, int seed, TextWriter progress)
    {
        var rows = recipe.Sentences.AsParallel().AsOrdered().Select(s => (Ids: text.Encode(s.Text, Config.MaxLength), s.IsHate)).ToArray();
        var model = new RobertaForSequenceClassification(Config, Seeds.Derive((ulong)seed, recipe.Name + " weights"));
        var batches = Dice.For(seed, recipe.Name + " order").Shuffled(rows).Chunk(BatchSize).Where(batch => batch.Length == BatchSize).ToArray();
        using var optimizer = new CosineAdamW(model, LearningRate, WeightDecay, SquareDecay, Warmup, batches.Length);
        var report = new Progress(recipe.Name, batches.Length, progress);
        var done = 0;
        foreach (var batch in batches)
        {
            using var scope = NewDisposeScope();
            var (ids, isRealToken) = Pad(Array.ConvertAll(batch, row => row.Ids), text.PadId);
            var labels = tensor(Array.ConvertAll(batch, row => row.IsHate ? 1L : 0L)); // [B]
            var loss = nn.functional.cross_entropy(model.Logits(ids, isRealToken), labels, label_smoothing: recipe.LabelSmoothing);
            optimizer.Step(loss);
            report.Report(++done, loss.item<float>());
        }
        return model;
    }

    private static (Tensor Ids, Tensor IsRealToken) Pad(int[][] rows, int padId)
    {
        var width = rows.Max(row => row.Length);
        var (ids, isReal) = (new long[rows.Length * width], new bool[rows.Length * width]);
        Array.Fill(ids, padId);
        for (var row = 0; row < rows.Length; row++)
        {
            for (var t = 0; t < rows[row].Length; t++)
                (ids[(row * width) + t], isReal[(row * width) + t]) = (rows[row][t], true);
        }
        return (tensor(ids, rows.Length, width), tensor(isReal, rows.Length, width));
    }
}
