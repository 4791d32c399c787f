using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Rollout;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Learning;

/// <summary>A mini-batch whose samples have been through the policy and back, wherever that was.</summary>
internal interface IScoredBatch : IDisposable
{
    /// <summary>What the policy says of them, without a gradient.</summary>
    TokenScores Scores { get; }

    /// <summary>Adds to the parameters' gradients those of the mini-batch's loss.</summary>
    void AddGradients();
}

/// <summary>
/// Some samples on their way through the policy and back. What is learned from a unit depends on that unit alone: units are dealt to as
/// many threads as there are, and to micro-batches, of which one at a time is in a thread's memory. Gradients are summed in a fixed
/// order, so that no bit depends on who was first.
/// </summary>
internal sealed class MiniBatch : IScoredBatch
{
    private readonly TrainedPolicy _policy;
    private readonly Parameter[] _trained;
    private readonly Tensor[] _gradients; // of no dispose scope, like the scores: scopes belong to threads

    private MiniBatch(TrainedPolicy policy, int rows, int longest)
    {
        _policy = policy;
        _trained = [.. policy.Parameters.Select(named => named.Value).Where(parameter => parameter.requires_grad)];
        _gradients = Array.ConvertAll(_trained, parameter => zeros_like(parameter, requires_grad: false).DetachFromDisposeScope());
        Scores = new(Zeros(), policy.ValueHead is null ? null : Zeros(), Zeros());

        Tensor Zeros() => zeros(rows, longest, device: policy.Device).DetachFromDisposeScope();
    }

    /// <inheritdoc/>
    public TokenScores Scores { get; }

    /// <summary>Scores samples and differentiates their loss.</summary>
    /// <param name="policy">The policy.</param>
    /// <param name="samples">The step's rollouts.</param>
    /// <param name="units">Which of them, in the order of the scores: each for itself, or pairs.</param>
    /// <param name="temperature">Divides the logits, as it did in sampling.</param>
    /// <param name="loss">
    /// Of the scores of all these samples. It is differentiated for some units at a time, the others' scores being zero, and asked by
    /// several threads.
    /// </param>
    public static MiniBatch Learn(
        TrainedPolicy policy, IReadOnlyList<RolloutSample> samples, int[][] units, double temperature, Func<TokenScores, Tensor> loss)
    {
        var (rows, longest) = (units.Sum(unit => unit.Length), units.Max(unit => unit.Max(row => samples[row].Response.Length)));
        var shares = Deal(Units(samples, units), Math.Min(units.Length, get_num_threads()));
        var parts = Array.ConvertAll(shares, _ => new MiniBatch(policy, rows, longest));
        try
        {
            Threads.Share(parts.Length, i =>
            {
                foreach (var (microBatch, recomputes) in Cut(shares[i], policy))
                    parts[i].Add(microBatch, samples, temperature, loss, recomputes);
            });
            foreach (var part in parts[1..])
                parts[0].Add(part);
        }
        catch
        {
            parts[0].Dispose();
            throw;
        }
        finally
        {
            foreach (var part in parts[1..])
                part.Dispose();
        }
        return parts[0];
    }

    /// <inheritdoc/>
    public void AddGradients()
    {
        using var noGrad = no_grad();
        foreach (var (parameter, gradient) in _trained.Zip(_gradients))
            parameter.grad = parameter.grad is { } sum ? sum + gradient : gradient.alias();
    }

    public void Dispose()
    {
        foreach (var tensor in (Tensor?[])[Scores.LogProbs, Scores.Values, Scores.Entropy, .. _gradients])
            tensor?.Dispose();
    }

    private static Unit[] Units(IReadOnlyList<RolloutSample> samples, int[][] units)
    {
        var place = 0;
        return Array.ConvertAll(units, rows => new Unit(
            rows, Array.ConvertAll(rows, _ => place++), rows.Max(row => samples[row].Query.Length + samples[row].Response.Length)));
    }

    /// <summary>Long and short ones to each thread, the long ones first.</summary>
    private static Unit[][] Deal(Unit[] units, int parts)
    {
        var byLength = units.OrderByDescending(unit => unit.Tokens).ToArray();
        return [.. Enumerable.Range(0, parts).Select(part => byLength.Where((_, i) => i % parts == part).ToArray())];
    }

    /// <summary>
    /// As many units at a time as have so many tokens, padded. Blocks of units of which one alone has more are computed once more, and keep
    /// their inputs only: of those more tokens fit.
    /// </summary>
    private static IEnumerable<(Unit[] MicroBatch, bool Recomputes)> Cut(Unit[] byLength, TrainedPolicy policy)
    {
        for (var first = 0; first < byLength.Length;)
        {
            var (longest, rows, end) = (byLength[first].Tokens, 0L, first);
            var recomputes = IsLarge(byLength[first]);
            var most = recomputes ? policy.RecomputedTokensAtATime : policy.TokensAtATime;
            while (end < byLength.Length && (end == first || ((rows + byLength[end].Rows.Length) * longest <= most && IsLarge(byLength[end]) == recomputes)))
                rows += byLength[end++].Rows.Length;
            yield return (byLength[first..end], recomputes);
            first = end;
        }

        bool IsLarge(Unit unit) => unit.Rows.Length * (long)unit.Tokens > policy.TokensAtATime;
    }

    /// <summary>Takes some units through the policy and back.</summary>
    private void Add(Unit[] units, IReadOnlyList<RolloutSample> samples, double temperature, Func<TokenScores, Tensor> loss, bool recomputes)
    {
        using var scope = NewDisposeScope();
        var rows = units.SelectMany(unit => unit.Rows).Select(row => samples[row]).ToArray();
        var sequences = SequenceBatch.Of(Array.ConvertAll(rows, row => row.Query), Array.ConvertAll(rows, row => row.Response), _policy.Device);
        var scores = _policy.Score(sequences, temperature, recomputes); // [b, r]
        var known = scores.Detached();
        var among = known.Among([.. units.SelectMany(unit => unit.Places)], Scores.LogProbs.shape[0], Scores.Length); // [B, R]
        loss(among).backward();
        var outputs = scores.Differentiable.Zip(known.Differentiable).Where(pair => pair.First.requires_grad).ToArray(); // none of the policy while the value head warms up
        Add(among, autograd.grad([.. outputs.Select(pair => pair.First)], [.. _trained], [.. outputs.Select(pair => pair.Second.grad!)]));
    }

    private void Add(MiniBatch other) => Add(other.Scores, other._gradients);

    private void Add(TokenScores scores, IEnumerable<Tensor> gradients)
    {
        using var noGrad = no_grad();
        Scores.Add(scores);
        foreach (var (sum, gradient) in _gradients.Zip(gradients))
            sum.add_(gradient);
    }

    /// <summary>What is learned together.</summary>
    /// <param name="Rows">Its samples.</param>
    /// <param name="Places">Where they stand in the mini-batch.</param>
    /// <param name="Tokens">Of its longest sample.</param>
    private sealed record Unit(int[] Rows, int[] Places, int Tokens);
}
