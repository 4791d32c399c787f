using RlhfFunctions.Ml.Foundations;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Quantization;

/// <summary>
/// A frozen linear layer with 4-bit weights (QLoRA, arXiv:2305.14314). Few rows multiply the codes directly; many, or rows that
/// need gradients, use the weights dequantised for the moment: nothing but the codes outlives the call.
/// </summary>
public sealed class Nf4Linear : LinearLayer
{
    // Beyond this, dequantising once and libtorch's matrix product are faster.
    private const int MaxDirectRows = 32;

    private readonly Nf4Weight _weight;

    [ComponentName(Name = "bias")]
    private readonly Parameter? _bias;

    /// <param name="weight">[out, in]; owned by the layer from here on.</param>
    /// <param name="bias">[out] or null; owned by the layer from here on.</param>
    public Nf4Linear(Nf4Weight weight, Parameter? bias)
        : base(weight.Shape[1], weight.Shape[0])
    {
        (_weight, _bias) = (weight, bias);
        RegisterComponents();
    }

    protected override Tensor Multiply(Tensor input)
    {
        using var scope = NewDisposeScope();
        var needsGradient = is_grad_enabled() && input.requires_grad;
        Tensor output;
        if (needsGradient)
            output = Product.apply(input, _weight);
        else if (CanMultiplyDirectly(input))
            output = Nf4Kernel.Multiply(input.reshape(-1, InFeatures).contiguous(), _weight.Codes, _weight.Scales, _weight.Type)
                .view([.. input.shape[..^1], OutFeatures]);
        else
            output = nn.functional.linear(input, _weight.Dequantize(input.dtype));
        return scope.MoveToOuter(_bias is null ? output : output + _bias);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _weight.Dispose();
        base.Dispose(disposing);
    }

    private bool CanMultiplyDirectly(Tensor input) =>
        Nf4Kernel.CanMultiply && input.device_type == DeviceType.CPU && input.dtype == ScalarType.Float32
        && InFeatures % Nf4.BlockSize == 0 && input.numel() <= MaxDirectRows * InFeatures;

    /// <summary>y = x·Wᵀ and dx = dy·W; the weights have no gradient, so W need not be kept for the way back.</summary>
    private sealed class Product : autograd.SingleTensorFunction<Product>
    {
        public override string Name => nameof(Nf4Linear);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            using var scope = NewDisposeScope();
            var (input, weight) = ((Tensor)vars[0], (Nf4Weight)vars[1]);
            ctx.save_data(nameof(Nf4Weight), weight);
            return scope.MoveToOuter(nn.functional.linear(input, weight.Dequantize(input.dtype)));
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            using var scope = NewDisposeScope();
            var weight = (Nf4Weight)ctx.get_data(nameof(Nf4Weight));
            return [scope.MoveToOuter(grad_output.matmul(weight.Dequantize(grad_output.dtype))), null!];
        }
    }
}
