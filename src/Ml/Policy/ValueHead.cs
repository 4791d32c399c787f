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

    /// <inheritdoc/>
    public void Dispose()
    {
        Weight.Dispose();
        Bias.Dispose();
    }
}
