using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Policy;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Learning;

/// <summary>
/// What a shard of an update hands on, as a safetensors file: for each mini-batch in which it has rows, the gradient that comes from
/// them, parameter by parameter, and their scores. Equal contents give equal bytes.
/// </summary>
internal static class GradientFile
{
    private const string GradientPrefix = "grad.", LogProbs = "logprobs", Values = "values", Entropy = "entropy";

    /// <summary>Adds a mini-batch to a file's tensors, and takes the gradients from the parameters.</summary>
    public static void Take(IDictionary<string, Tensor> file, int miniBatch, TokenScores scores, TrainedPolicy policy)
    {
        file[Name(miniBatch, LogProbs)] = scores.LogProbs.alias(); // the mini-batch disposes its own
        file[Name(miniBatch, Entropy)] = scores.Entropy.alias();
        if (scores.Values is { } values)
            file[Name(miniBatch, Values)] = values.alias();
        foreach (var (name, parameter) in policy.Parameters)
        {
            if (parameter.grad is { } gradient)
                file[Name(miniBatch, GradientPrefix + name)] = gradient;
            parameter.grad = null;
        }
    }

    /// <summary>Puts a mini-batch together from the files of all shards, in their order.</summary>
    /// <exception cref="InvalidDataException">No file has anything of it.</exception>
    public static IScoredBatch Gather(IEnumerable<SafetensorsFile> files, int miniBatch, TrainedPolicy policy) =>
        new Gathered(policy, miniBatch, [.. files.Where(file => file.Entries.ContainsKey(Name(miniBatch, LogProbs)))]);

    private static string Name(int miniBatch, string what) => $"{miniBatch:D4}.{what}";

    /// <summary>The sums go in the order of the shards, so that no bit depends on who computed them or when.</summary>
    private sealed class Gathered(TrainedPolicy policy, int miniBatch, SafetensorsFile[] files) : IScoredBatch
    {
        public TokenScores Scores { get; } = files.Length == 0
            ? throw new InvalidDataException($"The gradients of this step don't fit together: mini-batch {miniBatch} is missing.")
            : TokenScores.Joined([.. files.Select(file => new TokenScores(
                Load(file, miniBatch, LogProbs, policy), policy.ValueHead is null ? null : Load(file, miniBatch, Values, policy), Load(file, miniBatch, Entropy, policy)))]);

        public void AddGradients()
        {
            using var noGrad = no_grad();
            foreach (var file in files)
                foreach (var (name, parameter) in policy.Parameters.Where(named => file.Entries.ContainsKey(Name(miniBatch, GradientPrefix + named.Key))))
                {
                    var gradient = Load(file, miniBatch, GradientPrefix + name, policy);
                    parameter.grad = parameter.grad is { } sum ? sum + gradient : gradient;
                }
        }

        public void Dispose()
        {
            // Its tensors belong to the scope it was made in.
        }

        private static Tensor Load(SafetensorsFile file, int miniBatch, string what, TrainedPolicy policy) =>
            file.Load(Name(miniBatch, what)).to(policy.Device);
    }
}
