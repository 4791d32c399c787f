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
internal sealed class LoraLinear : LowRankBranch, IDisposable
{
    private readonly Scalar _scaling;
    private readonly Parameter _trainedA;
    private readonly Parameter _trainedB;

    /// <summary>A uniform on ±1/√in, B zero, as PEFT: the branch starts as nothing.</summary>
    /// <param name="name">The layer's name in the model; with <paramref name="seed"/> it alone decides what is drawn.</param>
    /// <param name="layer">The frozen layer.</param>
    /// <param name="settings">Rank and scaling.</param>
    /// <param name="seed">Of the adapter.</param>
    /// <param name="device">Where the layer's weights are.</param>
    public LoraLinear(string name, LinearLayer layer, LoraSettings settings, ulong seed, Device device)
    {
        (Name, Layer) = (name, layer);
        Scaling = settings.Alpha / (settings.RankStabilized ? Math.Sqrt(settings.Rank) : settings.Rank);
        _scaling = Scaling.ToScalar();
        _trainedA = Keep(tensor(Draws(name, layer, settings, seed), [settings.Rank, layer.InFeatures], device: device));
        _trainedB = Keep(zeros(layer.OutFeatures, settings.Rank, ScalarType.Float32, device));
    }

    public string Name { get; }

    public LinearLayer Layer { get; }

    public override Parameter A => _trainedA;

    public override Parameter B => _trainedB;

    public override double Scaling { get; }

    /// <summary>The share of the input that is dropped, the rest scaled up, and what decides which; null: nothing is.</summary>
    public (double Share, Generator Generator)? Dropout { get; set; }

    public override bool Drops => Dropout is { Share: > 0 };

    public override Tensor Add(Tensor input, Tensor output)
    {
        var x = input.dtype == ScalarType.Float32 ? input : input.to(ScalarType.Float32);
        if (Dropout is { Share: > 0 and var share, Generator: var generator })
            x = x * empty_like(x).bernoulli_(1 - share, generator).div_(1 - share);
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

    private static float[] Draws(string name, LinearLayer layer, LoraSettings settings, ulong seed)
    {
        var key = Seeds.Derive(seed, $"lora_A {name}");
        var bound = 1 / Math.Sqrt(layer.InFeatures);
        var draws = new float[settings.Rank * layer.InFeatures];
        for (var i = 0; i < draws.Length; i++)
            draws[i] = (float)(((2 * Seeds.Uniform(key, i)) - 1) * bound);
        return draws;
    }

    private static Parameter Keep(Tensor values)
    {
        var parameter = new Parameter(values, requires_grad: true);
        parameter.DetachFromDisposeScope();
        return parameter;
    }
}
