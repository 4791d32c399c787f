using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Quantization;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>
/// The weights a configuration asks for, by name and shape; none of their numbers is needed. It is the model's own constructor that
/// asks, so what is counted here is what is loaded there.
/// </summary>
public sealed class WeightInventory
{
    private WeightInventory(IReadOnlyList<WeightShape> weights) => Weights = weights;

    /// <summary>In the order the model asks for them.</summary>
    public IReadOnlyList<WeightShape> Weights { get; }

    /// <summary>All numbers of the model.</summary>
    public long Count => Weights.Sum(w => w.Count);

    /// <summary>
    /// The model's numbers as PyTorch counts a 4-bit model: of a packed layer it sees the bytes, two weights each.
    /// </summary>
    public long PackedCount => Weights.Sum(w => w.CanBeQuantized ? Nf4.CodeBytes(w.Count) : w.Count);

    /// <summary>The weights of a Llama model.</summary>
    public static WeightInventory Of(LlamaConfig config) => Of(weights => new LlamaForCausalLm(config, weights));

    /// <summary>The weights of a RoBERTa classifier.</summary>
    public static WeightInventory Of(RobertaConfig config) => Of(weights => new RobertaForSequenceClassification(config, weights));

    /// <summary>What the weights take up in memory, in bytes.</summary>
    /// <param name="precision">How they are held.</param>
    /// <param name="device">Where: beside 4-bit layers a CPU holds the rest in bfloat16, a GPU in float16.</param>
    public long Bytes(ModelPrecision precision, DeviceType device = DeviceType.CPU)
    {
        var elementSize = FolderWeights.ComputeTypeOf(precision, device).ElementSize();
        return Weights.Sum(w => precision == ModelPrecision.Nf4 && w.CanBeQuantized
            ? Nf4.CodeBytes(w.Count) + (Nf4.Blocks(w.Count) * sizeof(float))
            : w.Count * elementSize);
    }

    private static WeightInventory Of(Func<WeightSource, nn.Module> build)
    {
        var recorder = new Recorder();
        build(recorder).Dispose();
        return new(recorder.Weights);
    }

    /// <summary>Hands out weights that have a shape and no memory.</summary>
    private sealed class Recorder : WeightSource
    {
        public List<WeightShape> Weights { get; } = [];

        public override ScalarType ComputeType => ScalarType.Float32;

        public override Device Device => CPU;

        public override Parameter Matrix(string name, params long[] shape) => Record(name, shape);

        public override Parameter Scale(string name, long size) => Record(name, [size]);

        public override Parameter Offset(string name, long size) => Record(name, [size]);

        public override LinearLayer Linear(string name, long inFeatures, long outFeatures, bool hasBias, bool canBeQuantized = true) =>
            new DenseLinear(
                Record($"{name}.weight", [outFeatures, inFeatures], canBeQuantized), hasBias ? Offset($"{name}.bias", outFeatures) : null);

        private Parameter Record(string name, long[] shape, bool canBeQuantized = false)
        {
            using var scope = NewDisposeScope();
            Weights.Add(new(name, shape, canBeQuantized));
            return Keep(zeros(1).expand(shape), trainable: false);
        }
    }
}

/// <summary>One weight of a model.</summary>
/// <param name="Name">Its Hugging Face name.</param>
/// <param name="Shape">Sizes; of a linear layer's [out, in].</param>
/// <param name="CanBeQuantized">Whether it is a linear layer's and may be held in 4 bits.</param>
public sealed record WeightShape(string Name, IReadOnlyList<long> Shape, bool CanBeQuantized)
{
    /// <summary>How many numbers it holds.</summary>
    public long Count => Shape.Aggregate(1L, (a, b) => a * b);
}
