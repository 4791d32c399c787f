using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Text;
using RlhfFunctions.Samples.Make.Pretraining;
using RlhfFunctions.Samples.Make.Tokenizers;
using static TorchSharp.torch;

namespace RlhfFunctions.Samples.Make.Training;

/// <summary>Pre-trains the small Llama to summarise, from random weights.</summary>
internal static class LlamaTrainer
{
    public const int BatchSize = 16;
    private const double LearningRate = 3e-3;
    private const double WeightDecay = 0.05;
    private const double SquareDecay = 0.95;
    private const int Warmup = 100;

    // Batches of like lengths waste little on pads; they are sorted within so many at a time.
    private const int BatchesSortedTogether = 8;

    /// <summary>How it is trained, for its card.</summary>
    public static string Settings =>
        $"AdamW with learning rate {LearningRate}, {Warmup} steps of warm-up, cosine decay, β₂ {SquareDecay}, weight decay {WeightDecay}";

    public static LlamaConfig Config { get; } = new()
    {
        VocabularySize = SampleTokenizers.LlamaVocabulary,
        HiddenSize = 128,
        IntermediateSize = 352,
        Layers = 4,
        Heads = 4,
        KeyValueHeads = 2,
        HeadSize = 32,
        ContextLength = SampleTokenizers.LlamaContext,
        RmsNormEpsilon = 1e-5,
        BeginOfTextId = 1,
        EndOfTextIds = [2],
        PadId = 2,
    };

    /// <summary>The trained model; the caller disposes it.</summary>
    /// <param name="corpus">At least one batch of rows.</param>
    /// <param name="text">The tokenizer of the same corpus.</param>
    /// <param name="steps">Batches to learn from.</param>
    /// <param name="seed">Of the first weights and of the order.</param>
    /// <param name="progress">Takes a line now and then.</param>
    public static LlamaForCausalLm Train(
        IReadOnlyList<PretrainingRow> corpus, LlamaText text, int steps, int seed, TextWriter progress)
    {
        var rows = corpus.AsParallel().AsOrdered().Select(row => TokenizedRow.Of(row, text)).ToArray();
        var model = new LlamaForCausalLm(Config, Seeds.Derive((ulong)seed, "llama weights"));
        using var optimizer = new CosineAdamW(model, LearningRate, WeightDecay, SquareDecay, Warmup, steps);
        var report = new Progress("llama", steps, progress);
        var done = 0;
        foreach (var batch in Batches(rows, seed).Take(steps))
        {
            using var scope = NewDisposeScope();
            var packed = PackedRows.Of(batch);
            var loss = (TokenLosses(model, packed) * packed.Weights).sum() / packed.Weights.sum();
            optimizer.Step(loss);
            report.Report(++done, loss.item<float>());
        }
        return model;
    }

    /// <summary>Perplexity of the rows' summaries, by token.</summary>
    public static double Perplexity(LlamaForCausalLm model, IReadOnlyList<TokenizedRow> rows)
    {
        using var evaluation = no_grad();
        var (sum, count) = (0.0, 0.0);
        foreach (var batch in rows.Chunk(BatchSize))
        {
            using var scope = NewDisposeScope();
            var packed = PackedRows.Of(batch);
            var isSummary = packed.Weights.eq(1).to(float32); // [B, T]
            sum += (TokenLosses(model, packed) * isSummary).sum().item<float>();
            count += isSummary.sum().item<float>();
        }
        return Math.Exp(sum / count);
    }

    private static Tensor TokenLosses(LlamaForCausalLm model, PackedRows packed)
    {
        var logits = model.Logits(model.HiddenSeeing(packed.InputIds, packed.Positions, packed.IsVisible)); // [B, T, V]
        return nn.functional.cross_entropy(logits.flatten(0, 1), packed.Targets.flatten(), reduction: nn.Reduction.None)
            .view_as(packed.Weights); // [B, T]
    }

    /// <summary>Every row once in each epoch, in batches of similar length, without end.</summary>
    private static IEnumerable<TokenizedRow[]> Batches(TokenizedRow[] rows, int seed)
    {
        if (rows.Length < BatchSize)
            throw new ArgumentException($"{rows.Length} rows: at least one batch of {BatchSize} is needed.");
        for (var epoch = 0; ; epoch++)
        {
            var dice = Dice.For(seed, "llama order", epoch);
            foreach (var group in dice.Shuffled(rows).Chunk(BatchSize * BatchesSortedTogether))
            {
                foreach (var batch in dice.Shuffled(group.OrderBy(row => row.Prompt.Length).Chunk(BatchSize)))
                {
                    if (batch.Length == BatchSize)
                        yield return batch;
                }
            }
        }
    }
}
