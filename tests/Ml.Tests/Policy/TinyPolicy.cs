using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Policy;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Policy;

/// <summary>A random Llama of two layers with an adapter and a value head, and what else a test of PPO needs.</summary>
internal static class TinyPolicy
{
    public const int Vocabulary = 24, Hidden = 16, EndOfText = 2;

    private static readonly LlamaConfig Config = new()
    {
        VocabularySize = Vocabulary,
        HiddenSize = Hidden,
        IntermediateSize = 32,
        Layers = 2,
        Heads = 4,
        KeyValueHeads = 2,
        HeadSize = 4,
        ContextLength = 64,
        InitializerRange = 0.35,
        EndOfTextIds = [EndOfText],
    };

    public static TrainedPolicy Create(bool randomAdapter = true, bool hasValueHead = true)
    {
        var model = new LlamaForCausalLm(Config, seed: 7);
        var settings = new LoraSettings { Rank = 4, Alpha = 4, TargetModules = ["q_proj", "v_proj", "o_proj", "down_proj"] };
        var adapter = LoraAdapter.Attach(model, settings, seed: 1);
        var policy = new TrainedPolicy(model, adapter, hasValueHead ? new ValueHead(Hidden, CPU) : null);
        if (randomAdapter) // B and the value head start at zero; tests want to see them
            using (no_grad())
                foreach (var (name, parameter) in policy.Parameters)
                    parameter.copy_(Random(name, parameter.shape, 0.3));
        return policy;
    }

    /// <summary>Prompts of different lengths.</summary>
    public static int[][] Prompts(int count) => [.. Enumerable.Range(0, count).Select(row =>
    {
        var key = Seeds.Derive(3, "prompt", row);
        var length = 2 + (int)(Seeds.Uniform(key, 0) * 7);
        return Enumerable.Range(1, length).Select(t => t == 1 ? 1 : 3 + (int)(Seeds.Uniform(key, t) * (Vocabulary - 3))).ToArray();
    })];

    public static ulong[] Keys(int count, ulong seed = 11) => [.. Enumerable.Range(0, count).Select(i => Seeds.Derive(seed, "test", i))];

    private static Tensor Random(string name, long[] shape, double scale)
    {
        var key = Seeds.Derive(5, name);
        return tensor(Enumerable.Range(0, (int)shape.Aggregate(1L, (a, b) => a * b))
            .Select(i => (float)(scale * ((2 * Seeds.Uniform(key, i)) - 1))).ToArray()).view(shape);
    }
}
