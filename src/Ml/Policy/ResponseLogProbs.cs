using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Policy;

/// <summary>
/// log π of given tokens. The distributions are computed some positions at a time, and once more on the way back: for a large
/// vocabulary all of them together would be the largest thing in memory.
/// </summary>
internal sealed class ResponseLogProbs : autograd.SingleTensorFunction<ResponseLogProbs>
{
    private const long NumbersAtATime = 1 << 21;

    public override string Name => nameof(ResponseLogProbs);

    /// <param name="model">Its output layer is frozen.</param>
    /// <param name="states">The states before the tokens. [N, H]</param>
    /// <param name="ids">The tokens. [N] int64</param>
    /// <param name="temperature">Divides the logits.</param>
    /// <returns>log π and, without a gradient, the entropy of each token's distribution. [N] each</returns>
    public static (Tensor LogProbs, Tensor Entropy) Of(LlamaForCausalLm model, Tensor states, Tensor ids, double temperature)
    {
        var call = new Call(model, ids, temperature, empty(ids.shape, ScalarType.Float32, ids.device));
        var logProbs = is_grad_enabled() && states.requires_grad ? apply([states, call]) : call.Run(states);
        return (logProbs, call.Entropy);
    }

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (states, call) = ((Tensor)vars[0], (Call)vars[1]);
        ctx.save_for_backward([states, call.Ids]);
        ctx.save_data(nameof(Call), call);
        return call.Run(states);
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        var call = (Call)ctx.get_data(nameof(Call));
        var saved = ctx.get_saved_variables();
        return [scope.MoveToOuter(call.Gradient(saved[0].detach(), saved[1], grad_output)), null!];
    }

    private sealed record Call(LlamaForCausalLm Model, Tensor Ids, double Temperature, Tensor Entropy)
    {
        private long Rows => Math.Max(1, NumbersAtATime / Model.Config.VocabularySize);

        public Tensor Run(Tensor states)
        {
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            var logProbs = new List<Tensor>();
            for (var first = 0L; first < states.shape[0]; first += Rows)
            {
                using var piece = NewDisposeScope();
                var count = Math.Min(Rows, states.shape[0] - first);
                var distribution = LogDistribution(states.narrow(0, first, count)); // [n, V]
                logProbs.Add(piece.MoveToOuter(Chosen(distribution, Ids.narrow(0, first, count)))); // [n]
                Entropy.narrow(0, first, count).copy_((distribution.exp() * distribution).sum(-1).neg_());
            }
            return scope.MoveToOuter(cat(logProbs, 0));
        }

        public Tensor Gradient(Tensor states, Tensor ids, Tensor gradient)
        {
            using var scope = NewDisposeScope();
            using var grad = enable_grad();
            var pieces = new List<Tensor>();
            for (var first = 0L; first < states.shape[0]; first += Rows)
            {
                using var piece = NewDisposeScope();
                var count = Math.Min(Rows, states.shape[0] - first);
                var state = states.narrow(0, first, count).detach().requires_grad_(); // [n, H]
                var logProbs = Chosen(LogDistribution(state), ids.narrow(0, first, count)); // [n]
                pieces.Add(piece.MoveToOuter(autograd.grad([logProbs], [state], [gradient.narrow(0, first, count)])[0]));
            }
            return scope.MoveToOuter(cat(pieces, 0));
        }

        private Tensor LogDistribution(Tensor states)
        {
            var logits = Model.Logits(states); // [n, V]
            return nn.functional.log_softmax(Temperature == 1 ? logits : logits / Temperature, -1);
        }

        private static Tensor Chosen(Tensor distribution, Tensor ids) => distribution.gather(1, ids.unsqueeze(1)).squeeze(1);
    }
}
