using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>Embedding, blocks and final norm.</summary>
internal sealed class LlamaDecoder : nn.Module
{
    [ComponentName(Name = "embed_tokens")]
    private readonly Embedding _embedding;

    [ComponentName(Name = "layers")]
    private readonly ModuleList<LlamaLayer> _layers;

    [ComponentName(Name = "norm")]
    private readonly RmsNorm _norm;

    private readonly RotaryEmbedding _rotary;

    public LlamaDecoder(LlamaConfig config, WeightSource weights)
        : base(nameof(LlamaDecoder))
    {
        _embedding = new Embedding(weights.Matrix("model.embed_tokens.weight", config.VocabularySize, config.HiddenSize));
        _layers = new ModuleList<LlamaLayer>([.. Enumerable.Range(0, config.Layers).Select(i => new LlamaLayer(config, weights, i))]);
        _norm = new RmsNorm(weights.Scale("model.norm.weight", config.HiddenSize), config.RmsNormEpsilon);
        _rotary = new RotaryEmbedding(config, weights.ComputeType, weights.Device);
        RegisterComponents();
    }

    /// <summary>[V, H]</summary>
    public Tensor EmbeddingWeight => _embedding.Weight;

    /// <inheritdoc cref="LlamaForCausalLm.Hidden"/>
    public Tensor Hidden(Tensor inputIds, Tensor? positions, Tensor? isRealToken, KvCache? cache)
    {
        using var scope = NewDisposeScope();
        var (b, t, past) = (inputIds.shape[0], inputIds.shape[1], cache?.Length ?? 0);
        cache?.CheckRoom(b, t);
        var x = _embedding.forward(inputIds); // [B, T, H]
        var (cosine, signedSine) = _rotary.At(positions, past, t);
        var bias = AttentionBias.Causal(isRealToken, past, t, x.dtype, x.device);
        var hidden = Run(x, new LlamaPass(cosine, signedSine, bias, cache));
        cache?.Advance(t);
        return scope.MoveToOuter(hidden);
    }

    /// <inheritdoc cref="LlamaForCausalLm.HiddenSeeing"/>
    public Tensor HiddenSeeing(Tensor inputIds, Tensor positions, Tensor isVisible)
    {
        using var scope = NewDisposeScope();
        var x = _embedding.forward(inputIds); // [B, T, H]
        var (cosine, signedSine) = _rotary.At(positions, 0, inputIds.shape[1]);
        return scope.MoveToOuter(Run(x, new LlamaPass(cosine, signedSine, AttentionBias.Seeing(isVisible, x.dtype), null)));
    }

    private Tensor Run(Tensor x, LlamaPass pass)
    {
        foreach (var layer in _layers)
        {
            var next = layer.Forward(x, pass);
            x.Dispose();
            x = next;
        }
        return _norm.forward(x);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _rotary.Dispose();
        base.Dispose(disposing);
    }
}
