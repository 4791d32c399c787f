using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Lora;

/// <summary>
/// What an adapter adds to one linear layer: scaling · B·A·dropout(x), in float32 whatever the layer's type
/// (Hu et al., arXiv:2106.09685).
/// </summary>
internal sealed class LoraLinear : IDisposable
{
    private readonly Scalar _scaling;

    /// <summary>A uniform on ±1/√in, B zero, as PEFT: the branch starts as nothing.</summary>
    /// <param name="name">The layer's name in the model; with <paramref name="seed"/> it alone decides what is drawn.</param>
    /// <param name="layer">The frozen layer.</param>
    /// <param name="settings">Rank and scaling.</param>
    /// <param name="seed">Of the adapter.</param>
    /// <param name="device">Where the layer's weights are.</param>
    public LoraLinear(string name, LinearLayer layer, LoraSettings settings, ulong seed, Device device)
    {
        (Name, Layer) = (name, layer);
        var scaling = settings.Alpha / (settings.RankStabilized ? Math.Sqrt(settings.Rank) : settings.Rank);
        _scaling = scaling.ToScalar();
        var key = Seeds.Derive(seed, $"lora_A {name}");
        var bound = 1 / Math.Sqrt(layer.InFeatures);
        var draws = new float[settings.Rank * layer.InFeatures];
        for (var i = 0; i < draws.Length; i++)
            draws[i] = (float)(((2 * Seeds.Uniform(key, i)) - 1) * bound);
        A = Keep(tensor(draws, [settings.Rank, layer.InFeatures], device: device));
        B = Keep(zeros(layer.OutFeatures, settings.Rank, ScalarType.Float32, device));
    }

    public string Name { get; }

    public LinearLayer Layer { get; }

    /// <summary>[r, in]</summary>
    public Parameter A { get; }

    /// <summary>[out, r]</summary>
    public Parameter B { get; }

    /// <param name="input">[..., in]</param>
    /// <param name="output">[..., out]; what the layer alone gives, overwritten.</param>
    /// <param name="dropout">Share of the input that is dropped, the rest scaled up.</param>
    /// <param name="generator">What decides which.</param>
    public Tensor Add(Tensor input, Tensor output, double dropout, Generator generator)
    {
        var x = input.dtype == ScalarType.Float32 ? input : input.to(ScalarType.Float32);
        if (dropout > 0)
            x = x * empty_like(x).bernoulli_(1 - dropout, generator).div_(1 - dropout);
        var change = nn.functional.linear(nn.functional.linear(x, A), B); // [..., out]
        return output.dtype == ScalarType.Float32
            ? output.add_(change, _scaling)
            : output.to(ScalarType.Float32).add_(change, _scaling).to(output.dtype);
    }

    /// <summary>Adds the branch to the layer's weight, or takes it off again (<paramref name="sign"/> = −1).</summary>
    public void MergeInto(Tensor weight, int sign)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        weight.add_(B.matmul(A).mul_(_scaling).mul_(sign)); // in fp32, rounded once to the weight's dtype
    }

    public void Dispose()
    {
        A.Dispose();
        B.Dispose();
        _scaling.Dispose();
    }

    private static Parameter Keep(Tensor values)
    {
        var parameter = new Parameter(values, requires_grad: true);
        parameter.DetachFromDisposeScope();
        return parameter;
    }
}
