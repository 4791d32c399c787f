using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Models;

/// <summary>Blocks as one operation against the same blocks operation by operation, as libtorch differentiates them.</summary>
public sealed class BlockPassTests
{
    private const int Rows = 3, Length = 41;

    private static readonly LlamaConfig Config = new()
    {
        VocabularySize = 50,
        HiddenSize = 64,
        IntermediateSize = 112,
        Layers = 3,
        Heads = 4,
        KeyValueHeads = 2,
        HeadSize = 32,
        ContextLength = 64,
        InitializerRange = 0.2,
    };

    [Theory]
    [InlineData("all-linear", 4, false)]
    [InlineData("all-linear", 20, false)]
    [InlineData("all-linear", 4, true)]
    [InlineData("down_proj", 16, false)]
    [InlineData("up_proj", 4, false)]
    [InlineData("o_proj", 4, false)]
    [InlineData("k_proj", 4, false)]
    [InlineData("q_proj", 4, false)]
    [InlineData("all-linear", 4, false, true)]
    [InlineData("all-linear", 4, true, true)]
    public void States_and_gradients_are_those_of_single_operations(string targets, int rank, bool recomputes, bool queryKeyNorm = false)
    {
        using var scope = NewDisposeScope();
        using var model = Model(Config with { QueryKeyNorm = queryKeyNorm });
        using var adapter = Adapter(model, targets, rank);
        var (expected, expectedGradients) = Plain(model, adapter);
        Assert.True(model.Decoder.CanFuse);
        var (states, gradients) = Learn(model, adapter, recomputes);
        AssertTensor.Close(expected, states, 2e-5, "states");
        Assert.All(expectedGradients.Zip(gradients, adapter.Parameters), one =>
            AssertTensor.Close(one.First, one.Second, 1e-5 * one.First.abs().max().item<float>(), one.Third.Name));
    }

    [Fact]
    public void In_bfloat16_they_are_as_near_to_the_truth_as_those_of_single_operations()
    {
        var (ours, theirs) = (new List<double>(), new List<double>());
        for (var seed = 1UL; seed <= 8; seed++)
        {
            using var scope = NewDisposeScope();
            using var folder = new TemporaryFolder();
            using var random = Model(Config, seed);
            ModelFolderOf(random, folder);
            using var model = LlamaForCausalLm.Load(folder.Root, ModelPrecision.Nf4);
            using var single = LlamaForCausalLm.Load(folder.Root, ModelPrecision.Nf4, computeType: ScalarType.Float32);
            Assert.Equal(ScalarType.BFloat16, model.ComputeType);
            using var adapter = Adapter(model, "all-linear", 4);
            using var singleAdapter = Adapter(single, "all-linear", 4);
            var expected = Learn(single, singleAdapter);
            ours.AddRange(Distances(expected, Learn(model, adapter)));
            theirs.AddRange(Distances(expected, Plain(model, adapter)));
        }
        Assert.InRange(ours.Max(), 0, 0.5);
        Assert.True(ours.Average() < 1.1 * theirs.Average(), $"{ours.Average()} against {theirs.Average()}");

        static IEnumerable<double> Distances((Tensor States, Tensor[] Gradients) expected, (Tensor States, Tensor[] Gradients) actual) =>
            [Distance(expected.States, actual.States), .. expected.Gradients.Zip(actual.Gradients, Distance)];
    }

    [Fact]
    public void Nothing_depends_on_the_number_of_threads_nor_on_whether_gradients_are_asked_for()
    {
        using var scope = NewDisposeScope();
        using var model = Model(Config);
        using var adapter = Adapter(model, "all-linear", 4);
        get_num_threads();
        set_num_threads(2);
        try
        {
            var (states, gradients) = Learn(model, adapter);
            using (no_grad())
                AssertTensor.Identical(states, model.HiddenAt(Ids(), Places()));
            set_num_threads(1);
            var (again, same) = Learn(model, adapter);
            AssertTensor.Identical(states, again);
            Assert.All(gradients.Zip(same), pair => AssertTensor.Identical(pair.First, pair.Second));
        }
        finally
        {
            set_num_threads(1);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void It_leaves_no_tensors_behind(bool recomputes) => NoLeaks.In(() =>
    {
        using var scope = NewDisposeScope();
        using var model = Model(Config);
        using var adapter = Adapter(model, "all-linear", 4);
        Learn(model, adapter, recomputes);
    });

    [Fact]
    public void Sizes_that_are_no_whole_vectors_are_left_to_single_operations()
    {
        using var model = new LlamaForCausalLm(Config with { HeadSize = 16 }, seed: 3);
        Assert.DoesNotContain(model.Decoder.Blocks, block => BlockPass.CanRun(block, model.Config));
    }

    /// <summary>Random weights, norms included.</summary>
    private static LlamaForCausalLm Model(LlamaConfig config, ulong seed = 3)
    {
        var model = new LlamaForCausalLm(config, seed);
        using var noGrad = no_grad();
        using var random = new Generator(4, CPU);
        foreach (var (_, norm) in model.named_parameters().Where(p => p.name.EndsWith("norm.weight", StringComparison.Ordinal)))
            norm.add_(randn(norm.shape, generator: random).mul_(0.3));
        return model;
    }

    private static LoraAdapter Adapter(LlamaForCausalLm model, string targets, int rank)
    {
        var adapter = LoraAdapter.Attach(model, new LoraSettings { Rank = rank, Alpha = 2 * rank, TargetModules = [targets] }, seed: 1);
        using var noGrad = no_grad();
        using var random = new Generator(5, CPU);
        foreach (var (_, parameter) in adapter.Parameters)
            parameter.copy_(randn(parameter.shape, generator: random).mul_(0.05));
        return adapter;
    }

    private static void ModelFolderOf(LlamaForCausalLm model, TemporaryFolder folder)
    {
        folder.Write("config.json", """
            {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 50, "hidden_size": 64, "intermediate_size": 112,
             "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 64}
            """);
        File.WriteAllBytes(
            folder.Path("model.safetensors"), SafetensorsFile.Write(model.named_parameters().ToDictionary(p => p.name, p => (Tensor)p.parameter)));
    }

    /// <summary>A norm that asks for a gradient is left to single operations, and the block with it.</summary>
    private static (Tensor States, Tensor[] Gradients) Plain(LlamaForCausalLm model, LoraAdapter adapter)
    {
        var norm = model.named_parameters().First(p => p.name.EndsWith("input_layernorm.weight", StringComparison.Ordinal)).parameter;
        norm.requires_grad_(true);
        Assert.False(model.Decoder.CanFuse);
        var learned = Learn(model, adapter);
        norm.requires_grad_(false);
        return learned;
    }

    private static (Tensor States, Tensor[] Gradients) Learn(LlamaForCausalLm model, LoraAdapter adapter, bool recomputes = false)
    {
        var states = model.HiddenAt(Ids(), Places(), recomputes);
        using var random = new Generator(9, CPU);
        var weights = randn(states.shape, generator: random);
        (states.to(ScalarType.Float32) * weights).sum().backward();
        var gradients = adapter.Parameters.Select(p => p.Parameter.grad!.clone()).ToArray();
        foreach (var (_, parameter) in adapter.Parameters)
            parameter.grad = null;
        return (states.detach(), gradients);
    }

    private static Tensor Ids() => arange(Rows * Length).mul(7).remainder(50).view(Rows, Length);

    /// <summary>Some positions of each row; of the last, as of a short response, the first is asked for again and again.</summary>
    private static Tensor Places() => cat([
        arange(20, 41), arange(Length + 5, Length + 26), arange(2 * Length + 30, (2 * Length) + 39), full(12, 2 * Length, ScalarType.Int64)]);

    private static double Distance(Tensor expected, Tensor actual) =>
        ((actual.to(ScalarType.Float32) - expected).norm() / expected.norm()).item<float>();
}
