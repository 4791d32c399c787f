using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Models;

/// <summary>
/// The forward pass of transformers' Llama, Mistral, Qwen2 and Qwen3 written down once more, in float64 and in one piece: a loop over
/// heads, a mask, no cache. It shares no line with the models but their weights, which it takes by their Hugging Face names.
/// </summary>
internal static class PlainForward
{
    /// <returns>[T, V] float64</returns>
    public static Tensor Logits(LlamaConfig config, IReadOnlyDictionary<string, Tensor> weights, long[] ids)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Tensor Weight(string name) => weights[name].to(ScalarType.Float64);
        Tensor Norm(Tensor v, string name) => v / (v.pow(2).mean([-1L], true) + config.RmsNormEpsilon).sqrt() * Weight(name);
        Tensor Linear(Tensor v, string name) => v.matmul(Weight($"{name}.weight").t()) + (weights.ContainsKey($"{name}.bias") ? Weight($"{name}.bias") : zeros(1, float64));

        var (length, size) = (ids.Length, config.HeadSize);
        var x = Weight("model.embed_tokens.weight")[tensor(ids)]; // [T, H]
        for (var layer = 0; layer < config.Layers; layer++)
        {
            var name = $"model.layers.{layer}";
            var normed = Norm(x, $"{name}.input_layernorm.weight");
            var (q, k, v) = (Linear(normed, $"{name}.self_attn.q_proj"), Linear(normed, $"{name}.self_attn.k_proj"), Linear(normed, $"{name}.self_attn.v_proj"));
            var heads = new List<Tensor>();
            for (var head = 0; head < config.Heads; head++)
            {
                var shared = head / (config.Heads / config.KeyValueHeads);
                Tensor Of(Tensor all, int which) => all.narrow(1, which * size, size); // [T, D]
                var (query, key, value) = (Of(q, head), Of(k, shared), Of(v, shared));
                if (config.QueryKeyNorm)
                    (query, key) = (Norm(query, $"{name}.self_attn.q_norm.weight"), Norm(key, $"{name}.self_attn.k_norm.weight"));
                var scores = Turn(config, query).matmul(Turn(config, key).t()) / Math.Sqrt(size); // [T, T]
                var hidden = ones(length, length, ScalarType.Bool).triu(1);
                heads.Add(scores.masked_fill(hidden, double.NegativeInfinity).softmax(-1).matmul(value));
            }
            x = x + Linear(cat(heads, 1), $"{name}.self_attn.o_proj");
            normed = Norm(x, $"{name}.post_attention_layernorm.weight");
            var gate = Linear(normed, $"{name}.mlp.gate_proj");
            x = x + Linear(gate * gate.sigmoid() * Linear(normed, $"{name}.mlp.up_proj"), $"{name}.mlp.down_proj");
        }
        var output = config.TieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight";
        return scope.MoveToOuter(Norm(x, "model.norm.weight").matmul(Weight(output).t()));
    }

    /// <summary>Pair (i, i + D/2) as a complex number, times e^(i·position·θ^(−2i/D)).</summary>
    private static Tensor Turn(LlamaConfig config, Tensor x)
    {
        var half = config.HeadSize / 2;
        var angles = new double[x.shape[0], half];
        for (var t = 0; t < x.shape[0]; t++)
            for (var i = 0; i < half; i++)
                angles[t, i] = t * Math.Pow(config.RopeTheta, -2.0 * i / config.HeadSize);
        var angle = tensor(angles);
        var (a, b) = (x.narrow(1, 0, half), x.narrow(1, half, half));
        return cat([(a * angle.cos()) - (b * angle.sin()), (b * angle.cos()) + (a * angle.sin())], 1);
    }
}
