using RlhfFunctions.Ml.Foundations;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>Grouped-query attention with rotary positions (Ainslie et al., arXiv:2305.13245).</summary>
internal sealed class LlamaAttention : nn.Module
{
    [ComponentName(Name = "q_proj")]
    private readonly LinearLayer _query;

    [ComponentName(Name = "k_proj")]
    private readonly LinearLayer _key;

    [ComponentName(Name = "v_proj")]
    private readonly LinearLayer _value;

    [ComponentName(Name = "o_proj")]
    private readonly LinearLayer _output;

    [ComponentName(Name = "q_norm")]
    private readonly RmsNorm? _queryNorm;

    [ComponentName(Name = "k_norm")]
    private readonly RmsNorm? _keyNorm;

    private readonly int _layer;
    private readonly long _heads;
    private readonly long _keyValueHeads;
    private readonly long _headSize;

    public LlamaAttention(LlamaConfig config, WeightSource weights, string name, int layer)
        : base(nameof(LlamaAttention))
    {
        (_layer, _heads, _keyValueHeads, _headSize) = (layer, config.Heads, config.KeyValueHeads, config.HeadSize);
        var (all, shared) = (_heads * _headSize, _keyValueHeads * _headSize);
        _query = weights.Linear($"{name}.q_proj", config.HiddenSize, all, config.AttentionBias);
        _key = weights.Linear($"{name}.k_proj", config.HiddenSize, shared, config.AttentionBias);
        _value = weights.Linear($"{name}.v_proj", config.HiddenSize, shared, config.AttentionBias);
        _output = weights.Linear($"{name}.o_proj", all, config.HiddenSize, config.AttentionOutputBias);
        if (config.QueryKeyNorm)
        {
            _queryNorm = new RmsNorm(weights.Scale($"{name}.q_norm.weight", _headSize), config.RmsNormEpsilon);
            _keyNorm = new RmsNorm(weights.Scale($"{name}.k_norm.weight", _headSize), config.RmsNormEpsilon);
        }
        RegisterComponents();
    }

    public LinearLayer Query => _query;

    public LinearLayer Key => _key;

    public LinearLayer Value => _value;

    public LinearLayer Output => _output;

    /// <summary>[D], or null.</summary>
    public Tensor? QueryNorm => _queryNorm?.Weight;

    /// <summary>[D], or null.</summary>
    public Tensor? KeyNorm => _keyNorm?.Weight;

    /// <param name="x">[B, T, H]</param>
    /// <param name="pass">What the layers of this pass share.</param>
    /// <returns>[B, T, H]; its intermediates belong to the caller's scope.</returns>
    public Tensor Forward(Tensor x, LlamaPass pass)
    {
        var (b, t) = (x.shape[0], x.shape[1]);
        var q = Queries(x, (pass.Cosine, pass.SignedSine)); // [B, T, heads, D]
        var (k, v) = KeysAndValues(x, pass); // [B, KV heads, T, D]
        if (pass.Cache is not null)
            (k, v) = pass.Cache.Append(_layer, k, v); // [B, KV heads, S, D]
        return _output.forward(Attend(q, k, v, pass).reshape(b, t, _heads * _headSize));
    }

    /// <summary>Only some positions ask.</summary>
    /// <param name="x">[B, T, H]</param>
    /// <param name="queries">The positions.</param>
    /// <param name="pass">What the layers of this pass share.</param>
    /// <returns>[B, R, H]; its intermediates belong to the caller's scope.</returns>
    public Tensor ForwardAt(Tensor x, LlamaQueries queries, LlamaPass pass)
    {
        var q = Queries(queries.Of(x), queries.Rotations).transpose(1, 2); // [B, heads, R, D]
        var (k, v) = KeysAndValues(x, pass); // [B, KV heads, T, D]
        var attended = nn.functional.scaled_dot_product_attention(q, ForEachHead(k), ForEachHead(v), queries.Bias).transpose(1, 2);
        return _output.forward(attended.reshape(x.shape[0], -1, _heads * _headSize)); // [B, R, H]
    }

    private Tensor Queries(Tensor x, (Tensor Cosine, Tensor SignedSine) rotations) => RotaryEmbedding.Rotate(
        Normed(_queryNorm, _query.forward(x).view(x.shape[0], x.shape[1], _heads, _headSize)), rotations.Cosine, rotations.SignedSine);

    private (Tensor Keys, Tensor Values) KeysAndValues(Tensor x, LlamaPass pass)
    {
        var k = Normed(_keyNorm, _key.forward(x).view(x.shape[0], x.shape[1], _keyValueHeads, _headSize));
        var v = _value.forward(x).view(x.shape[0], x.shape[1], _keyValueHeads, _headSize);
        return (RotaryEmbedding.Rotate(k, pass.Cosine, pass.SignedSine).transpose(1, 2), v.transpose(1, 2));
    }

    /// <summary>Each head by itself. [B, T, heads, D]</summary>
    private static Tensor Normed(RmsNorm? norm, Tensor x) => norm is null ? x : norm.forward(x);

    private Tensor Attend(Tensor q, Tensor k, Tensor v, LlamaPass pass)
    {
        var (b, t) = (q.shape[0], q.shape[1]);
        if (t == 1)
        {
            // The query heads of a group take the place of its queries, so that keys and values need no copies.
            var grouped = q.view(b, _keyValueHeads, _heads / _keyValueHeads, _headSize);
            return nn.functional.scaled_dot_product_attention(grouped, k, v, pass.Bias); // [B, KV heads, group, D]
        }
        return nn.functional.scaled_dot_product_attention(
            q.transpose(1, 2), ForEachHead(k), ForEachHead(v), pass.Bias, is_casual: pass.Bias is null).transpose(1, 2); // [B, T, heads, D]
    }

    /// <summary>Key head j becomes the key of query heads j·g to j·g + g − 1.</summary>
    private Tensor ForEachHead(Tensor x)
    {
        if (_heads == _keyValueHeads)
            return x;
        var (b, s, group) = (x.shape[0], x.shape[2], _heads / _keyValueHeads);
        return x.unsqueeze(2).expand(b, _keyValueHeads, group, s, _headSize).reshape(b, _heads, s, _headSize);
    }
}
