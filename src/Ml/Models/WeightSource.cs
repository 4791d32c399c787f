using RlhfFunctions.Ml.Foundations;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>Where a model under construction takes its weights from: each is asked for once, by its Hugging Face name.</summary>
internal abstract class WeightSource
{
    /// <summary>The type in which hidden states are computed.</summary>
    public abstract ScalarType ComputeType { get; }

    public abstract Device Device { get; }

    /// <summary>A table or matrix.</summary>
    public abstract Parameter Matrix(string name, params long[] shape);

    /// <summary>The factors of a normalisation; one at random initialisation.</summary>
    public abstract Parameter Scale(string name, long size);

    /// <summary>A summand; zero at random initialisation.</summary>
    public abstract Parameter Offset(string name, long size);

    /// <summary>A linear layer; <paramref name="canBeQuantized"/> is false for the output layer, which stays exact.</summary>
    public virtual LinearLayer Linear(string name, long inFeatures, long outFeatures, bool hasBias, bool canBeQuantized = true) =>
        new DenseLinear(
            Matrix($"{name}.weight", outFeatures, inFeatures), hasBias ? Offset($"{name}.bias", outFeatures) : null);

    /// <summary>A parameter that no dispose scope of a caller ends.</summary>
    protected static Parameter Keep(Tensor values, bool trainable)
    {
        var parameter = new Parameter(values, trainable);
        parameter.DetachFromDisposeScope();
        return parameter;
    }
}
