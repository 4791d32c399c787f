using TorchSharp.Modules;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>Fresh trainable weights as transformers initialises them: matrices N(0, deviation²), factors one, summands zero.</summary>
internal sealed class RandomWeights(double deviation, Generator generator) : WeightSource
{
    public override ScalarType ComputeType => ScalarType.Float32;

    public override Device Device => CPU;

    public override Parameter Matrix(string name, params long[] shape)
    {
        using var noGrad = no_grad();
        return Keep(randn(shape, generator: generator).mul_(deviation), trainable: true);
    }

    public override Parameter Scale(string name, long size) => Keep(ones(size), trainable: true);

    public override Parameter Offset(string name, long size) => Keep(zeros(size), trainable: true);
}
