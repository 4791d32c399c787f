using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Rollout;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Learning;

/// <summary>A mini-batch whose samples have been through the policy, wherever that was.</summary>
internal interface IScoredBatch : IDisposable
{
    /// <summary>What came out.</summary>
    TokenScores Scores { get; }

    /// <summary>Adds to the parameters' gradients those of a loss of <see cref="Scores"/>.</summary>
    void Backward(Tensor loss);
}

/// <summary>
/// Some samples on their way through the policy and back. Their rows are dealt to as many threads as there are; the loss is taken of
/// all of them together, and the threads' gradients are summed in a fixed order, so that no bit depends on who was first.
/// </summary>
internal sealed class MiniBatch : IScoredBatch
{
    private readonly TrainedPolicy _policy;
    private readonly Part[] _parts;
    private readonly Tensor _places; // where each row stands among the parts' rows, end to end [b]

    private MiniBatch(TrainedPolicy policy, int[] rows, Part[] parts)
    {
        (_policy, _parts) = (policy, parts);
        var dealt = parts.SelectMany(part => part.Rows).ToArray();
        _places = tensor(Array.ConvertAll(rows, row => (long)Array.IndexOf(dealt, row)), device: policy.Device);
        using var noGrad = no_grad();
        var scores = TokenScores.Joined([.. parts.Select(part => part.Scores)]);
        Scores = new(
            Asked(scores.LogProbs).requires_grad_(), scores.Values is { } values ? Asked(values).requires_grad_() : null, Asked(scores.Entropy));

        Tensor Asked(Tensor x) => x.index_select(0, _places).detach(); // [b, R] in the order that was asked for
    }

    /// <inheritdoc/>
    public TokenScores Scores { get; }

    /// <summary>Scores samples.</summary>
    /// <param name="policy">The policy.</param>
    /// <param name="samples">The step's rollouts.</param>
    /// <param name="rows">Which of them, in the order of the scores.</param>
    /// <param name="temperature">Divides the logits, as it did in sampling.</param>
    public static MiniBatch Score(TrainedPolicy policy, IReadOnlyList<RolloutSample> samples, int[] rows, double temperature)
    {
        var shares = Deal(samples, rows, Math.Min(rows.Length, get_num_threads()));
        var parts = new Part?[shares.Length];
        try
        {
            Threads.Share(shares.Length, i => parts[i] = Part.Score(policy, [.. shares[i].Select(row => samples[row])], shares[i], temperature));
            return new(policy, rows, parts!);
        }
        catch
        {
            foreach (var part in parts)
                part?.Dispose(); // of the threads that did not fail
            throw;
        }
    }

    /// <inheritdoc/>
    public void Backward(Tensor loss)
    {
        using var scope = NewDisposeScope();
        loss.backward();
        var trained = _policy.Parameters.Select(named => named.Value).Where(parameter => parameter.requires_grad).ToArray();
        var gradients = new Tensor[]?[_parts.Length];
        var (logProbs, values) = (Dealt(Scores.LogProbs.grad!), Scores.Values is null ? null : Dealt(Scores.Values.grad!));
        var starts = _parts.Select((_, i) => _parts.Take(i).Sum(part => part.Rows.Length)).ToArray();
        try
        {
            Threads.Share(_parts.Length, i => gradients[i] = _parts[i].Backward(trained, logProbs, values, starts[i]));
            using var noGrad = no_grad();
            for (var p = 0; p < trained.Length; p++)
            {
                var sum = trained[p].grad;
                foreach (var part in gradients)
                    sum = sum is null ? part![p] : sum + part![p];
                trained[p].grad = sum;
            }
        }
        finally
        {
            foreach (var gradient in gradients.SelectMany(part => part ?? []))
                gradient.Dispose();
        }
    }

    public void Dispose()
    {
        foreach (var part in _parts)
            part.Dispose();
    }

    /// <summary>Long and short ones to each thread: the order given, where there is one.</summary>
    private static int[][] Deal(IReadOnlyList<RolloutSample> samples, int[] rows, int parts)
    {
        if (parts == 1)
            return [rows];
        var byLength = rows.OrderByDescending(row => samples[row].Query.Length + samples[row].Response.Length).ToArray();
        return [.. Enumerable.Range(0, parts).Select(part => byLength.Where((_, i) => i % parts == part).ToArray())];
    }

    /// <summary>Rows in the parts' order. [b, R] → [b, R]</summary>
    private Tensor Dealt(Tensor rows) => rows.index_select(0, _places.argsort());

    /// <summary>One thread's rows; its tensors belong to no dispose scope, because scopes belong to threads.</summary>
    private sealed record Part(int[] Rows, TokenScores Scores) : IDisposable
    {
        public static Part Score(TrainedPolicy policy, RolloutSample[] samples, int[] rows, double temperature)
        {
            using var scope = NewDisposeScope();
            var sequences = SequenceBatch.Of(
                Array.ConvertAll(samples, sample => sample.Query), Array.ConvertAll(samples, sample => sample.Response), policy.Device);
            var scored = policy.Score(sequences, temperature);
            return new(
                rows, new(scored.LogProbs.DetachFromDisposeScope(), scored.Values?.DetachFromDisposeScope(), scored.Entropy.DetachFromDisposeScope()));
        }

        public Tensor[] Backward(Parameter[] trained, Tensor logProbs, Tensor? values, int firstRow)
        {
            using var scope = NewDisposeScope();
            var outputs = new[] { (Tensor: Scores.LogProbs, Gradient: logProbs), (Tensor: Scores.Values ?? Scores.LogProbs, Gradient: values ?? logProbs) }
                .Take(Scores.Values is null ? 1 : 2).Where(output => output.Tensor.requires_grad).ToArray(); // while the value head warms up, the policy has no gradient
            var gradients = autograd.grad(
                [.. outputs.Select(output => output.Tensor)], [.. trained],
                [.. outputs.Select(output => output.Gradient.narrow(0, firstRow, Rows.Length).narrow(1, 0, output.Tensor.shape[1]))]);
            return [.. gradients.Select(gradient => gradient.DetachFromDisposeScope())];
        }

        public void Dispose()
        {
            Scores.LogProbs.Dispose();
            Scores.Values?.Dispose();
            Scores.Entropy.Dispose();
        }
    }
}
