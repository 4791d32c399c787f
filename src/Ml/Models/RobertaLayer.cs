using RlhfFunctions.Ml.Foundations;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>One block: h = norm(x + attention(x)); y = norm(h + mlp(h)). The nesting is that of the weights' names.</summary>
internal sealed class RobertaLayer : nn.Module
{
    [ComponentName(Name = "attention")]
    private readonly Attention _attention;

    [ComponentName(Name = "intermediate")]
    private readonly Intermediate _intermediate;

    [ComponentName(Name = "output")]
    private readonly AddAndNorm _output;

    public RobertaLayer(RobertaConfig config, WeightSource weights, int layer)
        : base(nameof(RobertaLayer))
    {
        var name = $"roberta.encoder.layer.{layer}";
        _attention = new Attention(config, weights, $"{name}.attention");
        _intermediate = new Intermediate(weights.Linear($"{name}.intermediate.dense", config.HiddenSize, config.IntermediateSize, true));
        _output = new AddAndNorm(config, weights, $"{name}.output", config.IntermediateSize);
        RegisterComponents();
    }

    /// <param name="x">[B, T, H]</param>
    /// <param name="bias">Added to attention scores [B, 1, 1, T].</param>
    /// <returns>[B, T, H]</returns>
    public Tensor Forward(Tensor x, Tensor bias)
    {
        using var scope = NewDisposeScope();
        var attended = _attention.Forward(x, bias);
        return scope.MoveToOuter(_output.Forward(_intermediate.Forward(attended), attended));
    }

    private sealed class Attention : nn.Module
    {
        [ComponentName(Name = "self")]
        private readonly SelfAttention _self;

        [ComponentName(Name = "output")]
        private readonly AddAndNorm _output;

        public Attention(RobertaConfig config, WeightSource weights, string name)
            : base(nameof(Attention))
        {
            _self = new SelfAttention(config, weights, $"{name}.self");
            _output = new AddAndNorm(config, weights, $"{name}.output", config.HiddenSize);
            RegisterComponents();
        }

        public Tensor Forward(Tensor x, Tensor bias) => _output.Forward(_self.Forward(x, bias), x);
    }

    private sealed class SelfAttention : nn.Module
    {
        [ComponentName(Name = "query")]
        private readonly LinearLayer _query;

        [ComponentName(Name = "key")]
        private readonly LinearLayer _key;

        [ComponentName(Name = "value")]
        private readonly LinearLayer _value;

        private readonly long _heads;

        public SelfAttention(RobertaConfig config, WeightSource weights, string name)
            : base(nameof(SelfAttention))
        {
            _heads = config.Heads;
            _query = weights.Linear($"{name}.query", config.HiddenSize, config.HiddenSize, true);
            _key = weights.Linear($"{name}.key", config.HiddenSize, config.HiddenSize, true);
            _value = weights.Linear($"{name}.value", config.HiddenSize, config.HiddenSize, true);
            RegisterComponents();
        }

        public Tensor Forward(Tensor x, Tensor bias)
        {
            Tensor Heads(Tensor y) => y.view(x.shape[0], x.shape[1], _heads, -1).transpose(1, 2); // [B, heads, T, D]
            return nn.functional.scaled_dot_product_attention(
                Heads(_query.forward(x)), Heads(_key.forward(x)), Heads(_value.forward(x)), bias).transpose(1, 2).reshape(x.shape);
        }
    }

    private sealed class Intermediate : nn.Module
    {
        [ComponentName(Name = "dense")]
        private readonly LinearLayer _dense;

        public Intermediate(LinearLayer dense)
            : base(nameof(Intermediate))
        {
            _dense = dense;
            RegisterComponents();
        }

        public Tensor Forward(Tensor x) => nn.functional.gelu(_dense.forward(x));
    }

    private sealed class AddAndNorm : nn.Module
    {
        [ComponentName(Name = "dense")]
        private readonly LinearLayer _dense;

        [ComponentName(Name = "LayerNorm")]
        private readonly LayerNorm _norm;

        public AddAndNorm(RobertaConfig config, WeightSource weights, string name, long inFeatures)
            : base(nameof(AddAndNorm))
        {
            _dense = weights.Linear($"{name}.dense", inFeatures, config.HiddenSize, true);
            _norm = new LayerNorm(weights, $"{name}.LayerNorm", config.HiddenSize, config.LayerNormEpsilon);
            RegisterComponents();
        }

        public Tensor Forward(Tensor x, Tensor residual) => _norm.forward(_dense.forward(x) + residual);
    }
}
