using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Quantization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace RlhfFunctions.Benchmarks;

/// <summary>Models of a real size with random weights, made at once.</summary>
internal static class Shapes
{
    public static readonly LlamaConfig TinyLlama = new()
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
        EndOfTextIds = [],
    };

    public static readonly RobertaConfig RobertaBase = new()
    {
        VocabularySize = 50_265,
        HiddenSize = 768,
        IntermediateSize = 3072,
        Layers = 12,
        Heads = 12,
        PositionRows = 514,
        TokenTypes = 1,
        PadId = 1,
        Labels = new Dictionary<int, string> { [0] = "nothate", [1] = "hate" },
    };

    /// <summary>Weights of the projections, without the output layer.</summary>
    public static double Projections(LlamaConfig config)
    {
        double h = config.HiddenSize, all = config.Heads * config.HeadSize, shared = config.KeyValueHeads * config.HeadSize;
        return config.Layers * ((2 * h * all) + (2 * h * shared) + (3 * h * config.IntermediateSize));
    }

    /// <summary>In 4 bits, the rest in bfloat16.</summary>
    public static LlamaForCausalLm Nf4() => new(TinyLlama, new Weights(isQuantized: true));

    /// <summary>In bfloat16 throughout: what libtorch multiplies fastest.</summary>
    public static LlamaForCausalLm BFloat16() => new(TinyLlama, new Weights(isQuantized: false));

    private sealed class Weights(bool isQuantized) : WeightSource
    {
        public override ScalarType ComputeType => ScalarType.BFloat16;

        public override Device Device => CPU;

        public override Parameter Matrix(string name, params long[] shape)
        {
            using var scope = NewDisposeScope();
            return Keep(empty(shape, ComputeType).normal_(0, 0.02), trainable: false);
        }

        public override Parameter Scale(string name, long size) => Keep(ones(size, ComputeType), trainable: false);

        public override Parameter Offset(string name, long size) => Keep(zeros(size, ComputeType), trainable: false);

        public override LinearLayer Linear(string name, long inFeatures, long outFeatures, bool hasBias, bool canBeQuantized = true)
        {
            if (!isQuantized || !canBeQuantized)
                return base.Linear(name, inFeatures, outFeatures, hasBias, canBeQuantized);
            using var scope = NewDisposeScope();
            var count = inFeatures * outFeatures;
            var codes = randint(256, [count / 2], ScalarType.Byte);
            return new Nf4Linear(new Nf4Weight(codes, full(count / 64, 0.04296875f), [outFeatures, inFeatures], ScalarType.Float16), null);
        }
    }
}
