using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Decoding;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Quantization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Decoding;

public sealed class FusedLlamaTests
{
    private static readonly int[][] Texts = [[1, 1222, 13, 1253, 339, 416, 272], [1, 5, 9, 2], [1, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46]];

    // Of whole blocks of 64, as large models are.
    private static readonly LlamaConfig Config = new()
    {
        VocabularySize = 1280,
        HiddenSize = 64,
        IntermediateSize = 192,
        Layers = 2,
        Heads = 4,
        KeyValueHeads = 2,
        HeadSize = 16,
        ContextLength = 64,
    };

    [Theory]
    [InlineData(ModelPrecision.Float32, 1e-4)]
    [InlineData(ModelPrecision.Nf4, 1e-4)]
    [InlineData(ModelPrecision.BFloat16, 0.4)] // libtorch rounds every state to it
    public void Logits_are_the_models_with_its_adapter_on_and_off(ModelPrecision precision, double tolerance)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = Load(precision);
        using var adapter = Adapter(model);
        foreach (var isOn in new[] { true, false })
        {
            adapter.Enabled = isOn;
            var actual = Logits(model, threads: 1);
            foreach (var (text, logits) in Texts.Zip(actual))
            {
                var expected = model.Logits(model.Hidden(tensor(Array.ConvertAll(text, id => (long)id)).unsqueeze(0)))[0]; // [T, V]
                AssertTensor.Close(expected, tensor(logits).view(text.Length, -1), tolerance, $"{precision}, adapter {isOn}");
            }
        }
    }

    [Fact]
    public void Neither_threads_nor_neighbours_change_a_bit()
    {
        using var model = Load(ModelPrecision.Nf4);
        using var adapter = Adapter(model);
        var alone = Texts.Select(text => Logits(model, threads: 1, text)[0]);
        Assert.Equal(alone, Logits(model, threads: 1));
        Assert.Equal(alone, Logits(model, threads: 3));
    }

    [Fact]
    public void A_sequence_that_begins_with_anothers_goes_on_as_if_it_had_read_it()
    {
        using var model = Load(ModelPrecision.Float32);
        using var llama = new FusedLlama(model, [40, 40], threads: 1);
        Feed(llama, 0, Texts[2][..^1]);
        var own = Feed(llama, 0, Texts[2][^1..]);
        llama.Fork(0, 1, Texts[2].Length - 1);
        Assert.Equal(own, Feed(llama, 1, Texts[2][^1..]));
    }

    private static LlamaForCausalLm Load(ModelPrecision precision) => precision == ModelPrecision.Nf4
        ? new LlamaForCausalLm(Config, new Quantized())
        : LlamaForCausalLm.Load(RepositoryRoot.Path("samples/models/llama"), precision);

    private static LoraAdapter Adapter(LlamaForCausalLm model)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var generator = new Generator(3, CPU);
        var adapter = LoraAdapter.Attach(model, new LoraSettings { Rank = 3, Alpha = 6, TargetModules = ["all-linear"] }, seed: 1);
        foreach (var (_, parameter) in adapter.Parameters)
            parameter.copy_(randn(parameter.shape, generator: generator).mul_(0.05));
        return adapter;
    }

    /// <summary>After every token of every text, text by text.</summary>
    private static float[][] Logits(LlamaForCausalLm model, int threads, params int[][] texts)
    {
        texts = texts.Length == 0 ? Texts : texts;
        using var llama = new FusedLlama(model, [.. texts.Select(text => text.Length)], threads);
        FedToken[] tokens = [.. texts.SelectMany((text, i) => text.Select(id => new FedToken(i, id, IsWanted: true)))];
        var logits = Enumerable.Range(0, texts.Length).Select(_ => new List<float>()).ToArray();
        llama.Feed(tokens, (first, count) =>
        {
            for (var w = 0; w < count; w++)
                logits[tokens[first + w].Sequence].AddRange(llama.LogitsOf(w));
        });
        return [.. logits.Select(numbers => numbers.ToArray())];
    }

    private static float[] Feed(FusedLlama llama, int sequence, int[] ids)
    {
        var logits = new List<float>();
        llama.Feed([.. ids.Select(id => new FedToken(sequence, id, IsWanted: true))], (_, count) =>
        {
            for (var w = 0; w < count; w++)
                logits.AddRange(llama.LogitsOf(w));
        });
        return [.. logits];
    }

    private sealed class Quantized : WeightSource
    {
        private readonly RandomWeights _weights = new(0.2, new Generator(5, CPU));

        public override ScalarType ComputeType => ScalarType.Float32;

        public override Device Device => CPU;

        public override Parameter Matrix(string name, params long[] shape) => _weights.Matrix(name, shape);

        public override Parameter Scale(string name, long size) => _weights.Scale(name, size);

        public override Parameter Offset(string name, long size) => _weights.Offset(name, size);

        public override LinearLayer Linear(string name, long inFeatures, long outFeatures, bool hasBias, bool canBeQuantized = true)
        {
            if (!canBeQuantized)
                return base.Linear(name, inFeatures, outFeatures, hasBias, canBeQuantized);
            using var weight = _weights.Matrix(name, outFeatures, inFeatures);
            return new Nf4Linear(Nf4Weight.Quantize(weight.to(ScalarType.Float16)), null);
        }
    }
}
