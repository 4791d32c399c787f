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

    protected internal override Tensor Multiply(Tensor input)
    {
        var isLearning = is_grad_enabled();
        if (Rows is null || _weight.dtype != ScalarType.Float32 || input.dtype != ScalarType.Float32 || (isLearning && _weight.requires_grad))
            return nn.functional.linear(input, _weight, _bias);
        using var scope = NewDisposeScope();
        var output = isLearning && input.requires_grad ? Product.apply(input, this) : RowProducts.Multiply(input, Rows);
        return scope.MoveToOuter(_bias is null ? output : output + _bias);
    }

    internal override bool IsFrozen => !_weight.requires_grad;

    internal override Tensor InputGradient(Tensor gradient) =>
        Rows is not null && _weight.dtype == ScalarType.Float32 && gradient.dtype == ScalarType.Float32
            ? RowGradients.Multiply(gradient, _weight)
            : gradient.matmul(_weight);

    /// <summary>A frozen layer's y = x·Wᵀ and dx = dy·W.</summary>
    private sealed class Product : autograd.SingleTensorFunction<Product>
    {
        public override string Name => nameof(DenseLinear);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var (input, layer) = ((Tensor)vars[0], (DenseLinear)vars[1]);
            ctx.save_data(nameof(DenseLinear), layer);
            return RowProducts.Multiply(input, layer.Rows!);
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            var layer = (DenseLinear)ctx.get_data(nameof(DenseLinear));
            return [layer.InputGradient(grad_output), null!];
        }
    }
}
