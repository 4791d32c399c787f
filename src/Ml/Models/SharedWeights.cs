using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Quantization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>
/// The weights of a model that is in memory already: the same bytes under another model's names. They are freed with the last model
/// that has them.
/// </summary>
internal sealed class SharedWeights(LlamaForCausalLm model) : WeightSource
{
    private readonly Dictionary<string, Parameter> _parameters = model.named_parameters().ToDictionary(named => named.name, named => named.parameter);
    private readonly Dictionary<string, LinearLayer> _layers = model.Projections().ToDictionary(named => named.Name, named => named.Layer);

    public override ScalarType ComputeType => model.ComputeType;

    public override Device Device => model.Device;

    public override Parameter Matrix(string name, params long[] shape) => Share(name);

    public override Parameter Scale(string name, long size) => Share(name);

    public override Parameter Offset(string name, long size) => Share(name);

    public override LinearLayer Linear(string name, long inFeatures, long outFeatures, bool hasBias, bool canBeQuantized = true) =>
        _layers.GetValueOrDefault(name) is Nf4Linear quantized
            ? quantized.Share(hasBias ? Share($"{name}.bias") : null)
            : base.Linear(name, inFeatures, outFeatures, hasBias, canBeQuantized);

    private Parameter Share(string name)
    {
        using var scope = NewDisposeScope();
        return Keep(_parameters[name].detach(), trainable: false);
    }
}
