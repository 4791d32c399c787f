using RlhfFunctions.Ml.Foundations;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>
/// A block that keeps nothing for the way back but its input, and computes once more what it needs there (Chen et al.,
/// arXiv:1604.06174): a large model's memory is then that of one block, not of all.
/// </summary>
internal sealed class RecomputedLayer : autograd.SingleTensorFunction<RecomputedLayer>
{
    public override string Name => nameof(RecomputedLayer);

    /// <summary>[B, T, H] → [B, T, H]</summary>
    /// <param name="layer">The block.</param>
    /// <param name="x">[B, T, H], plainly causal from position 0 on.</param>
    /// <param name="rotary">Tells the rotations, here and once more on the way back.</param>
    public static Tensor Forward(LlamaLayer layer, Tensor x, RotaryEmbedding rotary)
    {
        Tensor[] trained = [.. layer.Block.Projections.Select(projection => projection.Adapter).OfType<LowRankBranch>()
            .SelectMany(branch => new[] { branch.A, branch.B }).Where(parameter => parameter.requires_grad)];
        return trained.Length == 0 && !x.requires_grad
            ? new Call(layer, rotary, trained).Run(x)
            : apply([x, new Call(layer, rotary, trained), .. trained]);
    }

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        using var noGrad = no_grad();
        var (x, call) = ((Tensor)vars[0], (Call)vars[1]);
        ctx.save_for_backward([x]);
        ctx.save_data(nameof(Call), call);
        return call.Run(x);
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        using var grad = enable_grad();
        var call = (Call)ctx.get_data(nameof(Call));
        var saved = ctx.get_saved_variables()[0];
        var needsInput = saved.requires_grad;
        var x = saved.detach().requires_grad_(needsInput); // [B, T, H]
        var output = call.Run(x);
        Tensor[] inputs = needsInput ? [x, .. call.Trained] : call.Trained;
        var gradients = autograd.grad([output], inputs, [grad_output]).Select(gradient => scope.MoveToOuter(gradient)).ToArray();
        return needsInput ? [gradients[0], null!, .. gradients[1..]] : [null!, null!, .. gradients];
    }

    private sealed record Call(LlamaLayer Layer, RotaryEmbedding Rotary, Tensor[] Trained)
    {
        public Tensor Run(Tensor x)
        {
            using var scope = NewDisposeScope();
            var (cosine, signedSine) = Rotary.At(null, 0, x.shape[1]);
            return scope.MoveToOuter(Layer.Forward(x, new LlamaPass(cosine, signedSine, null, null)));
        }
    }
}
