using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>
/// y = w · x / √(mean(x²) + ε), the root taken in float32 and the factor applied in the input's type, as transformers'
/// LlamaRMSNorm does (Zhang and Sennrich, arXiv:1910.07467).
/// </summary>
internal sealed class RmsNorm : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "weight")]
    private readonly Parameter _weight;

    private readonly Scalar _epsilon;

    public RmsNorm(Parameter weight, double epsilon)
        : base(nameof(RmsNorm))
    {
        _weight = weight;
        _epsilon = epsilon.ToScalar();
        RegisterComponents();
    }

    /// <summary>[H]</summary>
    public Tensor Weight => _weight;

    /// <param name="x">[..., H]</param>
    public override Tensor forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var exact = x.dtype == ScalarType.Float32 ? x : x.to(ScalarType.Float32);
        var inverse = exact.square().mean(LastDimension, keepdim: true).add_(_epsilon).rsqrt_(); // [..., 1]
        var normed = exact * inverse;
        if (!ReferenceEquals(exact, x))
            normed = normed.to(x.dtype);
        return scope.MoveToOuter(normed * _weight);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _epsilon.Dispose();
        base.Dispose(disposing);
    }

    private static readonly long[] LastDimension = [-1];
}
