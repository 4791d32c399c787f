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
        _output = weights.Linear($"{name}.o_proj", all, config.HiddenSize, config.AttentionBias);
        RegisterComponents();
    }

    /// <param name="x">[B, T, H]</param>
    /// <param name="pass">What the layers of this pass share.</param>
    /// <returns>[B, T, H]; its intermediates belong to the caller's scope.</returns>
    public Tensor Forward(Tensor x, LlamaPass pass)
    {
        var (b, t) = (x.shape[0], x.shape[1]);
        var q = RotaryEmbedding.Rotate(_query.forward(x).view(b, t, _heads, _headSize), pass.Cosine, pass.SignedSine); // [B, T, heads, D]
        var k = RotaryEmbedding.Rotate(_key.forward(x).view(b, t, _keyValueHeads, _headSize), pass.Cosine, pass.SignedSine).transpose(1, 2);
        var v = _value.forward(x).view(b, t, _keyValueHeads, _headSize).transpose(1, 2); // [B, KV heads, T, D]
        if (pass.Cache is not null)
            (k, v) = pass.Cache.Append(_layer, k, v); // [B, KV heads, S, D]
        return _output.forward(Attend(q, k, v, pass).reshape(b, t, _heads * _headSize));
    }

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
