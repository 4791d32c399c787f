using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Foundations;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Policy;

/// <summary>
/// The critic: a linear map from the hidden state behind the final norm, which the output layer reads too, to one number.
/// It starts at zero, so that the first advantages are the rewards themselves instead of a random head's noise.
/// </summary>
public sealed class ValueHead : IDisposable
{
    /// <summary>TRL's names, under which the head is saved.</summary>
    public const string WeightName = "v_head.summary.weight", BiasName = "v_head.summary.bias";

    /// <summary>A zero head in fp32.</summary>
    public ValueHead(long hiddenSize, Device device)
    {
        Weight = new Parameter(zeros(1, hiddenSize, float32, device));
        Bias = new Parameter(zeros(1, float32, device));
        Weight.DetachFromDisposeScope();
        Bias.DetachFromDisposeScope();
    }

    /// <summary>[1, H]</summary>
    public Parameter Weight { get; }

    /// <summary>[1]</summary>
    public Parameter Bias { get; }

    /// <summary>Values of hidden states: [..., H] → [...].</summary>
    public Tensor Forward(Tensor hidden) => nn.functional.linear(hidden.to(float32), Weight, Bias).squeeze(-1);

    /// <summary>The head as a file, under TRL's names.</summary>
    public byte[] ToSafetensors() => SafetensorsFile.Write(
        new Dictionary<string, Tensor> { [WeightName] = Weight, [BiasName] = Bias }, SafetensorsFile.PyTorchMetadata);

    /// <summary>Takes over the numbers of a file that <see cref="ToSafetensors"/> wrote for a model of the same hidden size.</summary>
    /// <exception cref="InvalidDataException">It lacks a tensor, or has one of another shape; then nothing was changed.</exception>
    public void Load(SafetensorsFile file)
    {
        var parameters = new[] { (Name: WeightName, Parameter: Weight), (Name: BiasName, Parameter: Bias) };
        foreach (var (name, parameter) in parameters)
            if (!file.Entries.TryGetValue(name, out var entry) || !entry.Shape.SequenceEqual(parameter.shape))
                throw new InvalidDataException($"The value head's file holds no {name} of shape {Expect.Describe(parameter.shape)}.");
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        foreach (var (name, parameter) in parameters)
            parameter.copy_(file.Load(name));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Weight.Dispose();
        Bias.Dispose();
    }
}
