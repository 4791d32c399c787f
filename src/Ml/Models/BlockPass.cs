using RlhfFunctions.Ml.Foundations;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Models;

/// <summary>
/// A frozen block of a Llama and its adapter, over whole sequences on a CPU, as one operation that knows its own way back. It keeps
/// what is dear to compute and small, or nothing but its input; scoring without gradients runs the same loops, so that a policy that has not
/// changed since says the same. What <see cref="LlamaLayer"/> computes operation by operation.
/// </summary>
internal sealed class BlockPass : autograd.SingleTensorFunction<BlockPass>
{
    public override string Name => nameof(BlockPass);

    /// <summary>Whether a block's sizes, types and adapters are such that the loops can run it.</summary>
    /// <param name="block">The block.</param>
    /// <param name="config">Its sizes.</param>
    public static bool CanRun(LlamaBlock block, LlamaConfig config) =>
        config.HiddenSize % 16 == 0 && config.IntermediateSize % 16 == 0 && config.HeadSize % 32 == 0
        && block.AttentionNorm.device_type == TorchSharp.DeviceType.CPU && block.AttentionNorm.dtype is ScalarType.Float32 or ScalarType.BFloat16
        && !Array.Exists([block.AttentionNorm, block.MlpNorm, block.QueryNorm, block.KeyNorm], norm => norm?.requires_grad == true)
        && Array.TrueForAll(block.Projections, projection => projection is { IsFrozen: true, Adapter: null or { Drops: false } });

    /// <summary>The block at all positions, or at some: all tokens have keys and values, only these ask.</summary>
    /// <param name="x">[B, T, H]</param>
    /// <param name="block">One that <see cref="CanRun"/>.</param>
    /// <param name="sequences">What the blocks of this pass share.</param>
    /// <param name="isAsked">Whether only the positions ask that <paramref name="sequences"/> names.</param>
    /// <param name="recomputes">Whether nothing but the input is kept for the way back.</param>
    /// <returns>[B, T, H] or [B, R, H]</returns>
    public static Tensor Forward(Tensor x, LlamaBlock block, Sequences sequences, bool isAsked, bool recomputes)
    {
        Tensor[] trained = [.. block.Projections.Select(projection => projection.Adapter).OfType<LowRankBranch>()
            .SelectMany(branch => new[] { branch.A, branch.B }).Where(parameter => parameter.requires_grad)];
        var call = new Call(block, sequences, isAsked, recomputes);
        using var scope = NewDisposeScope();
        if (is_grad_enabled() && (x.requires_grad || trained.Length > 0))
            return scope.MoveToOuter(apply([x, call, .. trained]));
        using var noGrad = no_grad();
        return scope.MoveToOuter(Run(x, call).Output);
    }

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (x, call) = ((Tensor)vars[0], (Call)vars[1]);
        var states = Run(x, call);
        Tensor[] kept = call.Recomputes ? [] : states.Kept;
        foreach (var tensor in kept)
            scope.MoveToOuter(tensor); // TorchSharp takes them over when this has returned
        ctx.save_for_backward([x, .. call.Sequences.Tensors, .. kept]);
        ctx.save_data(nameof(Call), call);
        return scope.MoveToOuter(states.Output);
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var call = (Call)ctx.get_data(nameof(Call));
        Tensor[] saved = [.. ctx.get_saved_variables()];
        var x = saved[0];
        var end = 1 + call.Sequences.Tensors.Length;
        call = call with { Sequences = call.Sequences.Of(saved.AsSpan(1, end - 1)) };
        var kept = call.Recomputes ? Run(x, call, isForWayBack: true).Kept : saved[end..];
        var gradients = x.dtype == ScalarType.Float32
            ? BlockMaths<float, Singles>.Back(call, x, kept, grad_output, x.requires_grad)
            : BlockMaths<ushort, BFloats>.Back(call, x, kept, grad_output, x.requires_grad);
        return [.. gradients.Select(gradient => gradient is null ? null! : scope.MoveToOuter(gradient))];
    }

    private static BlockStates Run(Tensor x, Call call, bool isForWayBack = false) => x.dtype == ScalarType.Float32
        ? BlockMaths<float, Singles>.Run(call, x, isForWayBack)
        : BlockMaths<ushort, BFloats>.Run(call, x, isForWayBack);

    /// <summary>What the way back must know of the way forth.</summary>
    internal sealed record Call(LlamaBlock Block, Sequences Sequences, bool IsAsked, bool Recomputes);
}
