using RlhfFunctions.Ml.Foundations;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Quantization;

/// <summary>
/// A frozen linear layer with 4-bit weights (QLoRA, arXiv:2305.14314). On a CPU float32 rows multiply the codes directly; bfloat16
/// rows, and the way back, use the weights dequantised piece by piece into a buffer that stays, so that nothing but the codes
/// outlives the call and no call asks for fresh memory.
/// </summary>
public sealed class Nf4Linear : LinearLayer
{
    // Weights in the buffer at a time. glibc maps fresh pages for what is larger than 32 MB, and that costs more than the product.
    private const long PieceLength = 12 << 20;

    [ThreadStatic]
    private static Tensor? _piece;

    private readonly Nf4Weight? _weight;
    private readonly Nf4Rows? _rows;

    [ComponentName(Name = "bias")]
    private readonly Parameter? _bias;

    /// <param name="weight">[out, in]; owned by the layer from here on.</param>
    /// <param name="bias">[out] or null; owned by the layer from here on.</param>
    public Nf4Linear(Nf4Weight weight, Parameter? bias)
        : base(weight.Shape[1], weight.Shape[0])
    {
        if (weight.Codes.device_type == DeviceType.CPU && Nf4Rows.Fits(weight))
            _rows = new Nf4Rows(weight);
        else
            _weight = weight;
        _bias = bias;
        RegisterComponents();
    }

    private Nf4Linear(Nf4Linear shared, Parameter? bias)
        : base(shared.InFeatures, shared.OutFeatures)
    {
        _weight = shared._weight?.Share();
        _rows = shared._rows?.Share();
        _bias = bias;
        RegisterComponents();
    }

    internal override WeightRows? Rows => _rows;

    internal override Parameter? Bias => _bias;

    /// <summary>Another layer of the same weights, which may have an adapter of its own.</summary>
    /// <param name="bias">[out] or null; owned by the new layer.</param>
    internal Nf4Linear Share(Parameter? bias) => new(this, bias);

    protected internal override Tensor Multiply(Tensor input)
    {
        using var scope = NewDisposeScope();
        var output = is_grad_enabled() && input.requires_grad ? Product.apply(input, this) : Forward(input);
        return scope.MoveToOuter(_bias is null ? output : output + _bias);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _weight?.Dispose();
            _rows?.Dispose();
        }
        base.Dispose(disposing);
    }

    /// <summary>x·Wᵀ: [..., in] → [..., out]</summary>
    private Tensor Forward(Tensor input)
    {
        if (_rows is null)
            return nn.functional.linear(input, _weight!.Dequantize(input.dtype));
        if (input.dtype == ScalarType.Float32)
            return RowProducts.Multiply(input, _rows);
        using var scope = NewDisposeScope();
        var x = input.reshape(-1, InFeatures); // [M, in]
        Tensor[] products = [.. Pieces(input.dtype).Select(piece => x.matmul(piece.Weights.t()))]; // [M, piece]
        var output = products.Length == 1 ? products[0] : cat(products, 1); // [M, out]
        return scope.MoveToOuter(output.view([.. input.shape[..^1], OutFeatures]));
    }

    internal override bool IsFrozen => true;

    internal override Tensor InputGradient(Tensor gradient)
    {
        using var scope = NewDisposeScope();
        if (_rows is null)
            return scope.MoveToOuter(gradient.matmul(_weight!.Dequantize(gradient.dtype)));
        var dy = gradient.reshape(-1, OutFeatures); // [M, out]
        Tensor? sum = null; // [M, in]
        foreach (var (first, weights) in Pieces(gradient.dtype))
        {
            var part = dy.narrow(1, first, weights.shape[0]);
            sum = sum is null ? part.matmul(weights) : sum.addmm_(part, weights);
        }
        return scope.MoveToOuter(sum!.view([.. gradient.shape[..^1], InFeatures]));
    }

    /// <summary>The weights as numbers, some rows at a time; a piece is overwritten by the next one.</summary>
    /// <param name="type">float32 or bfloat16.</param>
    private IEnumerable<(long First, Tensor Weights)> Pieces(ScalarType type)
    {
        var rows = Math.Max(1, PieceLength / InFeatures / (type == ScalarType.Float32 ? 2 : 1));
        for (var first = 0L; first < OutFeatures; first += rows)
        {
            var count = Math.Min(rows, OutFeatures - first);
            var piece = Piece(count * InFeatures, type).view(count, InFeatures);
            _rows!.Read(first, piece);
            yield return (first, piece);
        }
    }

    private static Tensor Piece(long length, ScalarType type)
    {
        if (_piece is null || _piece.shape[0] < length || _piece.dtype != type)
        {
            _piece?.Dispose();
            _piece = empty(length, type).DetachFromDisposeScope();
        }
        return _piece.narrow(0, 0, length);
    }

    /// <summary>y = x·Wᵀ and dx = dy·W; the weights have no gradient, so W need not be kept for the way back.</summary>
    private sealed class Product : autograd.SingleTensorFunction<Product>
    {
        public override string Name => nameof(Nf4Linear);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var (input, layer) = ((Tensor)vars[0], (Nf4Linear)vars[1]);
            ctx.save_data(nameof(Nf4Linear), layer);
            return layer.Forward(input);
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            var layer = (Nf4Linear)ctx.get_data(nameof(Nf4Linear));
            return [layer.InputGradient(grad_output), null!];
        }
    }
}
