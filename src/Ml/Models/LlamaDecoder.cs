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

    private readonly LlamaConfig _config;
    private readonly RotaryEmbedding _rotary;

    public LlamaDecoder(LlamaConfig config, WeightSource weights)
        : base(nameof(LlamaDecoder))
    {
        _embedding = new Embedding(weights.Matrix("model.embed_tokens.weight", config.VocabularySize, config.HiddenSize));
        _layers = new ModuleList<LlamaLayer>([.. Enumerable.Range(0, config.Layers).Select(i => new LlamaLayer(config, weights, i))]);
        _norm = new RmsNorm(weights.Scale("model.norm.weight", config.HiddenSize), config.RmsNormEpsilon);
        _config = config;
        _rotary = new RotaryEmbedding(config, weights.ComputeType, weights.Device);
        RegisterComponents();
    }

    /// <summary>[V, H]</summary>
    public Tensor EmbeddingWeight => _embedding.Weight;

    /// <summary>Whether whole sequences pass through the blocks by fused loops.</summary>
    public bool CanFuse => Blocks.All(block => BlockPass.CanRun(block, _config));

    /// <summary>[H], of the final norm.</summary>
    public Tensor NormWeight => _norm.Weight;

    public IEnumerable<LlamaBlock> Blocks => _layers.Select(layer => layer.Block);

    public RotaryEmbedding Rotary => _rotary;

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

    /// <inheritdoc cref="LlamaForCausalLm.HiddenAt"/>
    public Tensor HiddenAt(Tensor inputIds, Tensor places, bool recomputes)
    {
        using var scope = NewDisposeScope();
        var x = _embedding.forward(inputIds); // [B, T, H]
        var last = CanFuse
            ? FusedAt(x, Sequences.Of(_rotary, _config, inputIds.shape[0], inputIds.shape[1], places), recomputes)
            : At(x, places, recomputes); // [B, R, H]
        return scope.MoveToOuter(_norm.forward(last));
    }

    private Tensor FusedAt(Tensor x, Sequences sequences, bool recomputes)
    {
        foreach (var layer in _layers)
        {
            var next = BlockPass.Forward(x, layer.Block, sequences, isAsked: ReferenceEquals(layer, _layers[^1]), recomputes);
            x.Dispose();
            x = next;
        }
        return x;
    }

    private Tensor At(Tensor x, Tensor places, bool recomputes)
    {
        var (b, t) = (x.shape[0], x.shape[1]);
        var (cosine, signedSine) = _rotary.At(null, 0, t);
        var hidden = Run(x, new LlamaPass(cosine, signedSine, null, null), _layers.Count - 1, recomputes); // [B, T, H]
        var positions = places.view(b, -1).remainder(t); // [B, R]
        var isVisible = arange(t, device: places.device).view(1, 1, t).le(positions.unsqueeze(2)); // [B, R, T]
        var queries = new LlamaQueries(
            places, _rotary.At(positions, 0, positions.shape[1]), AttentionBias.Seeing(isVisible, hidden.dtype));
        return _layers[_layers.Count - 1].ForwardAt(hidden, queries, new LlamaPass(cosine, signedSine, null, null)); // [B, R, H]
    }

    private Tensor Run(Tensor x, LlamaPass pass) => _norm.forward(Run(x, pass, _layers.Count, recomputes: false));

    private Tensor Run(Tensor x, LlamaPass pass, int layers, bool recomputes)
    {
        foreach (var layer in _layers.Take(layers))
        {
            var next = recomputes ? RecomputedLayer.Forward(layer, x, _rotary) : layer.Forward(x, pass);
            x.Dispose();
            x = next;
        }
        return x;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _rotary.Dispose();
        base.Dispose(disposing);
    }
}
