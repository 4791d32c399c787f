using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Models;

public sealed class WeightInventoryTests
{
    /// <summary>TinyLlama-1.1B-Chat-v0.3, the original notebook's base model.</summary>
    internal static LlamaConfig TinyLlama11B { get; } = new()
    {
        VocabularySize = 32_003,
        HiddenSize = 2048,
        IntermediateSize = 5632,
        Layers = 22,
        Heads = 32,
        KeyValueHeads = 4,
        HeadSize = 64,
        ContextLength = 2048,
        RmsNormEpsilon = 1e-5,
        BeginOfTextId = 1,
        EndOfTextIds = [2],
    };

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void What_is_listed_is_what_a_built_llama_holds(bool ties, bool hasBiases)
    {
        var config = TinyLlama.Config with { TieWordEmbeddings = ties, AttentionBias = hasBiases, MlpBias = hasBiases, HeadSize = 6 };
        using var model = new LlamaForCausalLm(config);
        AssertSame(model, WeightInventory.Of(config));
        var quantizable = WeightInventory.Of(config).Weights.Where(w => w.CanBeQuantized).Select(w => w.Name);
        Assert.Equal(model.Projections().Select(p => $"{p.Name}.weight"), quantizable.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void What_is_listed_is_what_a_built_classifier_holds()
    {
        using var model = RobertaForSequenceClassification.Load(RepositoryRoot.Path("samples/models/reward"));
        AssertSame(model, WeightInventory.Of(model.Config));
    }

    [Theory]
    [InlineData(ModelPrecision.Float32)]
    [InlineData(ModelPrecision.BFloat16)]
    [InlineData(ModelPrecision.Float16)]
    [InlineData(ModelPrecision.Nf4)]
    public void Bytes_are_those_of_the_loaded_weights(ModelPrecision precision)
    {
        using var scope = NewDisposeScope();
        var folder = RepositoryRoot.Path("samples/models/llama");
        using var model = LlamaForCausalLm.Load(folder, precision);
        var held = model.state_dict().Values.Sum(w => w.numel() * w.element_size());
        if (precision == ModelPrecision.Nf4)
        {
            using var exact = LlamaForCausalLm.Load(folder);
            foreach (var (name, _) in exact.Projections())
            {
                using var weight = Nf4Weight.Quantize(exact.state_dict()[$"{name}.weight"]);
                held += weight.Codes.numel() + (weight.Scales.numel() * sizeof(float));
            }
        }
        Assert.Equal(held, WeightInventory.Of(model.Config).Bytes(precision));
    }

    [Fact]
    public void TinyLlama_has_the_published_numbers_of_parameters_and_takes_no_memory_to_count()
    {
        var weights = WeightInventory.Of(TinyLlama11B);
        Assert.Equal(1_100_060_672, weights.Count);
        Assert.Equal(615_618_560, weights.PackedCount);
        // Codes, scales, and the rest in float16.
        Assert.Equal(484_442_112 + (15_138_816 * 4) + (131_176_448 * 2), weights.Bytes(ModelPrecision.Nf4, DeviceType.CUDA));
        NoLeaks.In(() => WeightInventory.Of(TinyLlama.Config));
    }

    private static void AssertSame(nn.Module model, WeightInventory weights)
    {
        var held = model.state_dict().Select(w => (w.Key, Expect(w.Value.shape))).Order().ToList();
        Assert.Equal(held, weights.Weights.Select(w => (w.Name, Expect([.. w.Shape]))).Order());
        Assert.Equal(model.parameters().Sum(p => p.numel()), weights.Count);

        static string Expect(long[] shape) => Foundations.Expect.Describe(shape);
    }
}
