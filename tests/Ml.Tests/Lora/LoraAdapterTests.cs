using CsCheck;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Foundations;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Ml.Tests.Models;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Lora;

public sealed class LoraAdapterTests
{
    private static readonly LoraSettings Settings = new() { Rank = 3, Alpha = 6, TargetModules = ["all-linear"] };

    [Fact]
    public void The_linear_layers_that_a_configuration_tells_are_those_of_the_model()
    {
        var config = LlamaConfig.Load(RepositoryRoot.Path("samples/models/llama"));
        var linear = WeightInventory.Of(config).Weights.Where(weight => weight.CanBeQuantized).Select(weight => weight.Name[..^".weight".Length]);
        Assert.Equal(linear.Order(StringComparer.Ordinal), LoraTargets.ProjectionsOf(config).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Fresh_or_switched_off_the_model_is_the_base_bit_for_bit()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = TinyLlama.Build();
        var expected = Logits(model);
        using var adapter = LoraAdapter.Attach(model, Settings, seed: 7);
        AssertTensor.Identical(expected, Logits(model), "with B = 0");
        Randomise(adapter);
        Assert.False(expected.allclose(Logits(model)), "the adapter acts");
        adapter.Enabled = false;
        AssertTensor.Identical(expected, Logits(model), "switched off");
        adapter.Enabled = true;
        adapter.Dispose();
        AssertTensor.Identical(expected, Logits(model), "disposed");
    }

    [Fact]
    public void What_is_drawn_depends_on_the_seed_and_the_layers_name_alone()
    {
        using var scope = NewDisposeScope();
        using var model = TinyLlama.Build();
        Dictionary<string, Tensor> Draw(ulong seed, params string[] targets)
        {
            rand(5); // what others draw does not matter
            using var adapter = LoraAdapter.Attach(model, Settings with { TargetModules = targets }, seed);
            return adapter.Parameters.ToDictionary(p => p.Name, p => p.Parameter.detach().clone());
        }
        var (all, some, other) = (Draw(1, "q_proj", "v_proj"), Draw(1, "v_proj"), Draw(2, "v_proj"));
        foreach (var (name, values) in some)
            AssertTensor.Identical(all[name], values, name);
        var a = some.Keys.First(k => k.Contains("lora_A", StringComparison.Ordinal));
        Assert.False(some[a].allclose(other[a]));
        var bound = 1 / Math.Sqrt(TinyLlama.Config.HiddenSize);
        Assert.InRange(all[a].abs().max().item<float>(), 0.8 * bound, bound);
        Assert.False(all[a].allclose(all[a.Replace("layers.0", "layers.1", StringComparison.Ordinal)]));
    }

    [Fact]
    public void Only_the_adapter_gets_gradients()
    {
        using var scope = NewDisposeScope();
        using var model = TinyLlama.Build();
        using var adapter = LoraAdapter.Attach(model, Settings, seed: 7);
        Randomise(adapter);
        Logits(model).sum().backward();
        Assert.All(adapter.Parameters, p => Assert.True(p.Parameter.grad!.abs().sum().item<float>() > 0, p.Name));
        Assert.All(model.parameters(), p => Assert.False(p.requires_grad));
    }

    [Fact]
    public void Dropout_acts_in_training_alone_and_is_repeatable()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = TinyLlama.Build();
        using var adapter = LoraAdapter.Attach(model, Settings with { Dropout = 0.5 }, seed: 7);
        Randomise(adapter);
        var plain = Logits(model);
        AssertTensor.Identical(plain, Logits(model));
        adapter.Training = true;
        adapter.SeedDropout(3);
        var first = Logits(model);
        var second = Logits(model);
        adapter.SeedDropout(3);
        AssertTensor.Identical(first, Logits(model));
        Assert.False(first.allclose(second));
        Assert.False(first.allclose(plain));
    }

    [Fact]
    public void Merging_gives_the_adapters_logits_and_unmerging_the_bases()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = TinyLlama.Build();
        var plain = Logits(model);
        Gen.Select(Gen.Int[1, 8], Gen.Double[0.1, 16], Gen.Bool, Gen.ULong).Sample((rank, alpha, stabilized, seed) =>
        {
            using var inner = NewDisposeScope();
            using var adapter = LoraAdapter.Attach(model, Settings with { Rank = rank, Alpha = alpha, RankStabilized = stabilized }, seed);
            Randomise(adapter, 0.02);
            var adapted = Logits(model);
            adapter.Merge();
            AssertTensor.Close(adapted, Logits(model), 1e-4, "merged");
            adapter.Unmerge();
            AssertTensor.Close(adapted, Logits(model), 1e-4, "unmerged with the adapter");
            adapter.Enabled = false;
            AssertTensor.Close(plain, Logits(model), 1e-4, "unmerged without");
        }, iter: 20, threads: 1);
    }

    [Fact]
    public void A_merged_model_answers_without_its_adapter_as_it_did_with_it()
    {
        using var scope = NewDisposeScope();
        using var model = LlamaForCausalLm.Load(RepositoryRoot.Path("samples/models/llama"));
        using var adapter = LoraAdapter.Attach(model, Settings, seed: 7);
        Randomise(adapter, 0.1);
        int[][] prompts = [[1, 5, 9, 2], [1, 30, 17]];
        var settings = new GenerationSettings { MaxNewTokens = 12, EndOfTextIds = [] };
        int[][] Answers() => [.. BatchGenerator.Greedy(model, prompts, settings, CancellationToken.None)];
        var adapted = Answers();
        adapter.Enabled = false;
        Assert.NotEqual(adapted, Answers());
        adapter.Enabled = true;
        adapter.Merge();
        adapter.Dispose();
        Assert.All(model.Projections(), p => Assert.Null(p.Layer.Adapter));
        Assert.Equal(adapted, Answers());
    }

    [Fact]
    public void Dropout_drops_the_branchs_input_and_scales_up_the_rest()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        const int width = 256;
        const double dropout = 0.25;
        using var layer = new DenseLinear(new Parameter(eye(width), requires_grad: false), null);
        using var branch = new LoraLinear("x", layer, new LoraSettings { Rank = width, Alpha = 3 * width }, seed: 1, CPU);
        branch.A.copy_(eye(width));
        branch.B.copy_(eye(width));
        using var generator = new Generator(5, CPU);
        var x = rand(8, width, generator: generator) + 1;
        branch.Dropout = (dropout, generator);
        var change = (branch.Add(x, layer.forward(x)) - x) / x; // the layer itself sees all of x
        var isDropped = change.eq(0);
        AssertTensor.Close(full_like(change, 3 / (1 - dropout))[isDropped.logical_not()], change[isDropped.logical_not()], 1e-4);
        Assert.InRange(isDropped.to(float32).mean().item<float>(), dropout - 0.05, dropout + 0.05);
    }

    [Fact]
    public void Adapters_saved_in_half_precision_load_into_float32()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = TinyLlama.Build();
        using var adapter = LoraAdapter.Attach(model, Settings, seed: 7);
        var halves = adapter.Parameters.ToDictionary(p => p.Name, p => (p.Parameter + 0.3).to(ScalarType.BFloat16));
        using var file = SafetensorsFile.Read(SafetensorsFile.Write(halves));
        adapter.Load(file);
        Assert.All(adapter.Parameters, p => AssertTensor.Identical(halves[p.Name].to(ScalarType.Float32), p.Parameter, p.Name));
    }

    [Fact]
    public void Weights_survive_a_round_trip_and_foreign_ones_are_refused_by_name()
    {
        using var scope = NewDisposeScope();
        using var model = TinyLlama.Build();
        using var adapter = LoraAdapter.Attach(model, Settings, seed: 7);
        Randomise(adapter);
        var bytes = adapter.ToSafetensors();
        adapter.Dispose();
        using var other = LoraAdapter.Attach(model, Settings, seed: 8);
        using var file = SafetensorsFile.Read(bytes);
        other.Load(file);
        Assert.Equal(bytes, other.ToSafetensors());
        other.Dispose();
        using var narrower = LoraAdapter.Attach(model, Settings with { Rank = 2 }, seed: 8);
        Assert.Contains("down_proj", Assert.Throws<InvalidDataException>(() => narrower.Load(file)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_target_the_model_lacks_is_refused_with_what_it_has()
    {
        using var model = TinyLlama.Build();
        var message = Assert.Throws<ArgumentException>(
            () => LoraAdapter.Attach(model, Settings with { TargetModules = ["c_attn"] }, 0)).Message;
        Assert.Contains("c_attn", message, StringComparison.Ordinal);
        Assert.Contains("q_proj", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Training_steps_leave_no_tensors_behind()
    {
        using var model = TinyLlama.Build();
        using var adapter = LoraAdapter.Attach(model, Settings with { Dropout = 0.1 }, seed: 7);
        adapter.Training = true;
        NoLeaks.In(() =>
        {
            using var scope = NewDisposeScope();
            Logits(model).sum().backward();
            foreach (var (_, parameter) in adapter.Parameters)
                parameter.grad = null;
        });
        NoLeaks.In(() => LoraAdapter.Attach(TinyLlamaModel.Value, Settings, seed: 1).Dispose());
    }

    private static readonly Lazy<LlamaForCausalLm> TinyLlamaModel = new(() => TinyLlama.Build());

    private static Tensor Logits(LlamaForCausalLm model) =>
        model.Logits(model.Hidden(tensor(new long[,] { { 1, 5, 9, 2 }, { 30, 0, 3, 3 } })));

    private static void Randomise(LoraAdapter adapter, double scale = 0.2)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(11, CPU);
        foreach (var (_, parameter) in adapter.Parameters)
            parameter.copy_(randn(parameter.shape, generator: generator).mul_(scale));
    }
}
