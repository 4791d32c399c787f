using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Models;

/// <summary>The plainest generation there is, to check the model with: left-padded batch, best token, pads after the end.</summary>
internal static class GreedyLoop
{
    public static long[][] Run(LlamaForCausalLm model, long[][] prompts, int maxNewTokens, long[] endIds, long padId, bool useCache)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (ids, isReal) = PadLeft(prompts, padId);
        using var cache = useCache ? new KvCache((int)ids.shape[1] + maxNewTokens) : null;
        var isOpen = Enumerable.Repeat(true, prompts.Length).ToArray();
        var answers = prompts.Select(_ => new List<long>()).ToArray();
        var next = ids;
        for (var step = 0; step < maxNewTokens && isOpen.Any(open => open); step++)
        {
            var positions = (isReal.to(int64).cumsum(1) - 1).clamp_min(0);
            var input = useCache ? next : ids;
            var hidden = model.Hidden(input, positions.narrow(1, ids.shape[1] - input.shape[1], input.shape[1]), isReal, cache);
            var best = model.Logits(hidden.select(1, -1)).argmax(-1).data<long>().ToArray();
            for (var row = 0; row < best.Length; row++)
            {
                best[row] = isOpen[row] ? best[row] : padId;
                answers[row].Add(best[row]);
                isOpen[row] &= !endIds.Contains(best[row]);
            }
            next = tensor(best).unsqueeze(1);
            ids = cat([ids, next], 1);
            isReal = cat([isReal, ones(best.Length, 1, ScalarType.Bool)], 1);
        }
        return [.. answers.Select(a => a.Concat(Enumerable.Repeat(padId, maxNewTokens - a.Count)).ToArray())];
    }

    public static (Tensor Ids, Tensor IsReal) PadLeft(long[][] rows, long padId)
    {
        var width = rows.Max(r => r.Length);
        var ids = rows.SelectMany(r => Enumerable.Repeat(padId, width - r.Length).Concat(r)).ToArray();
        var isReal = rows.SelectMany(r => Enumerable.Repeat(false, width - r.Length).Concat(Enumerable.Repeat(true, r.Length))).ToArray();
        return (tensor(ids).view(rows.Length, width), tensor(isReal).view(rows.Length, width));
    }
}
