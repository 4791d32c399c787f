using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Foundations;

/// <summary>A linear layer whose weight is held as numbers of the model's type.</summary>
public sealed class DenseLinear : LinearLayer
{
    [ComponentName(Name = "weight")]
    private readonly Parameter _weight;

    [ComponentName(Name = "bias")]
    private readonly Parameter? _bias;

    /// <param name="weight">[out, in]; owned by the layer from here on.</param>
    /// <param name="bias">[out] or null; owned by the layer from here on.</param>
    public DenseLinear(Parameter weight, Parameter? bias)
        : base(weight.shape[1], weight.shape[0])
    {
        if (bias is not null)
            Expect.Shape(bias, [OutFeatures]);
        _weight = weight;
        _bias = bias;
        if (WeightRows.CanRead(weight))
            Rows = WeightRows.Of(weight);
        RegisterComponents();
    }

    /// <summary>[out, in]</summary>
    public Parameter Weight => _weight;

    internal override WeightRows? Rows { get; }

    internal override Parameter? Bias => _bias;

    protected override Tensor Multiply(Tensor input) => nn.functional.linear(input, _weight, _bias);
}
