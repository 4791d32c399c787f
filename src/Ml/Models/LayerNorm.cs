using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>y = w · (x − mean(x)) / √(var(x) + ε) + b (Ba et al., arXiv:1607.06450).</summary>
internal sealed class LayerNorm : nn.Module<Tensor, Tensor>
{
    [ComponentName(Name = "weight")]
    private readonly Parameter _weight;

    [ComponentName(Name = "bias")]
    private readonly Parameter _bias;

    private readonly double _epsilon;

    public LayerNorm(WeightSource weights, string name, long size, double epsilon)
        : base(nameof(LayerNorm))
    {
        _weight = weights.Scale($"{name}.weight", size);
        _bias = weights.Offset($"{name}.bias", size);
        _epsilon = epsilon;
        RegisterComponents();
    }

    /// <param name="x">[..., H]</param>
    public override Tensor forward(Tensor x) => nn.functional.layer_norm(x, _weight.shape, _weight, _bias, _epsilon);
}
