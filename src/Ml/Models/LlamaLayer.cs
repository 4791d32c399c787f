using RlhfFunctions.Ml.Foundations;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>One block: x += attention(norm(x)); x += mlp(norm(x)).</summary>
internal sealed class LlamaLayer : nn.Module
{
    [ComponentName(Name = "self_attn")]
    private readonly LlamaAttention _attention;

    [ComponentName(Name = "mlp")]
    private readonly LlamaMlp _mlp;

    [ComponentName(Name = "input_layernorm")]
    private readonly RmsNorm _attentionNorm;

    [ComponentName(Name = "post_attention_layernorm")]
    private readonly RmsNorm _mlpNorm;

    public LlamaLayer(LlamaConfig config, WeightSource weights, int layer)
        : base(nameof(LlamaLayer))
    {
        var name = $"model.layers.{layer}";
        _attention = new LlamaAttention(config, weights, $"{name}.self_attn", layer);
        _mlp = new LlamaMlp(config, weights, $"{name}.mlp");
        _attentionNorm = new RmsNorm(weights.Scale($"{name}.input_layernorm.weight", config.HiddenSize), config.RmsNormEpsilon);
        _mlpNorm = new RmsNorm(weights.Scale($"{name}.post_attention_layernorm.weight", config.HiddenSize), config.RmsNormEpsilon);
        RegisterComponents();
    }

    /// <summary>What it computes with.</summary>
    public LlamaBlock Block => new(
        _attentionNorm.Weight, _attention.Query, _attention.Key, _attention.Value, _attention.Output,
        _attention.QueryNorm, _attention.KeyNorm,
        _mlpNorm.Weight, _mlp.Gate, _mlp.Up, _mlp.Down);

    /// <param name="x">[B, T, H]</param>
    /// <param name="pass">What the layers of this pass share.</param>
    /// <returns>[B, T, H]</returns>
    public Tensor Forward(Tensor x, LlamaPass pass)
    {
        using var scope = NewDisposeScope();
        var attended = x + _attention.Forward(_attentionNorm.forward(x), pass);
        return scope.MoveToOuter(attended + _mlp.Forward(_mlpNorm.forward(attended)));
    }

    /// <summary>The same at some positions: all tokens have keys and values, only these ask.</summary>
    /// <param name="x">[B, T, H]</param>
    /// <param name="queries">The positions.</param>
    /// <param name="pass">What the layers of this pass share.</param>
    /// <returns>[B, R, H]</returns>
    public Tensor ForwardAt(Tensor x, LlamaQueries queries, LlamaPass pass)
    {
        using var scope = NewDisposeScope();
        var attended = queries.Of(x) + _attention.ForwardAt(_attentionNorm.forward(x), queries, pass);
        return scope.MoveToOuter(attended + _mlp.Forward(_mlpNorm.forward(attended)));
    }

    /// <summary>down(silu(gate(x)) · up(x)) (Shazeer, arXiv:2002.05202).</summary>
    private sealed class LlamaMlp : nn.Module
    {
        [ComponentName(Name = "gate_proj")]
        private readonly LinearLayer _gate;

        [ComponentName(Name = "up_proj")]
        private readonly LinearLayer _up;

        [ComponentName(Name = "down_proj")]
        private readonly LinearLayer _down;

        public LlamaMlp(LlamaConfig config, WeightSource weights, string name)
            : base(nameof(LlamaMlp))
        {
            _gate = weights.Linear($"{name}.gate_proj", config.HiddenSize, config.IntermediateSize, config.MlpBias);
            _up = weights.Linear($"{name}.up_proj", config.HiddenSize, config.IntermediateSize, config.MlpBias);
            _down = weights.Linear($"{name}.down_proj", config.IntermediateSize, config.HiddenSize, config.MlpBias);
            RegisterComponents();
        }

        public LinearLayer Gate => _gate;

        public LinearLayer Up => _up;

        public LinearLayer Down => _down;

        public Tensor Forward(Tensor x) => _down.forward(nn.functional.silu(_gate.forward(x)).mul(_up.forward(x)));
    }
}
