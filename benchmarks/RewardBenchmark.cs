using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Benchmarks;

/// <summary>A RoBERTa-base classifier on random weights: 16 texts of 64 tokens at a time.</summary>
internal static class RewardBenchmark
{
    public static IEnumerable<Measurement> Run()
    {
        const int texts = 16, length = 64;
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = new RobertaForSequenceClassification(Shapes.RobertaBase, seed: 1);
        var (ids, isReal) = (full([texts, length], 7L, ScalarType.Int64), ones([texts, length], ScalarType.Bool));
        var own = Measurement.Seconds(5, () => model.Logits(ids, isReal).Dispose());
        double[] libtorch;
        using (enable_grad()) // weights that may learn are multiplied by libtorch
            libtorch = Measurement.Seconds(5, () => model.Logits(ids, isReal).Dispose());
        yield return Measurement.Rate("reward/roberta-base", "texts/s", texts, own) with { RatioToLibtorch = libtorch.Order().ElementAt(2) / own.Order().ElementAt(2) };
    }
}
