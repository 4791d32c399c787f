using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Lora;

/// <summary>One base in memory and any number of adapters over it.</summary>
public sealed class SharedWeightsTests
{
    private static readonly LoraSettings Settings = new() { TargetModules = ["q_proj", "down_proj"] };

    [Theory]
    [InlineData(ModelPrecision.Float32)]
    [InlineData(ModelPrecision.Nf4)]
    public void Policies_on_one_base_compute_what_each_would_on_its_own(ModelPrecision precision)
    {
        using var scope = NewDisposeScope();
        var folder = RepositoryRoot.Path("samples/models/llama");
        using var shared = LlamaForCausalLm.Load(folder, precision);
        var plain = Logits(shared);
        using var one = shared.Share();
        using var other = shared.Share();
        using var first = Adapter(one, seed: 1);
        using var second = Adapter(other, seed: 2);
        Assert.Equal(Alone(1), Logits(one));
        Assert.Equal(Alone(2), Logits(other));
        Assert.NotEqual(Logits(one), Logits(other));
        Assert.Equal(plain, Logits(shared));
        Assert.Throws<NotSupportedException>(first.Merge);

        float[] Alone(ulong seed)
        {
            using var model = LlamaForCausalLm.Load(folder, precision);
            using var adapter = Adapter(model, seed);
            return Logits(model);
        }
    }

    [Theory]
    [InlineData(ModelPrecision.Float32)]
    [InlineData(ModelPrecision.Nf4)]
    public void The_weights_are_in_memory_once_until_the_last_model_is_disposed(ModelPrecision precision)
    {
        using var scope = NewDisposeScope();
        var shared = LlamaForCausalLm.Load(RepositoryRoot.Path("samples/models/llama"), precision);
        var plain = Logits(shared);
        var copy = shared.Share();
        foreach (var ((_, weight), (_, same)) in shared.named_parameters().Zip(copy.named_parameters()))
            Assert.Equal(Place(weight), Place(same));
        shared.Dispose();
        Assert.Equal(plain, Logits(copy));
        copy.Dispose();

        static unsafe nint Place(Tensor weight)
        {
            fixed (byte* first = weight.bytes)
                return (nint)first;
        }
    }

    private static LoraAdapter Adapter(LlamaForCausalLm model, ulong seed)
    {
        var adapter = LoraAdapter.Attach(model, Settings, seed);
        using var noGrad = no_grad();
        foreach (var (name, parameter) in adapter.Parameters)
            if (name.Contains("lora_B", StringComparison.Ordinal))
                parameter.copy_(randn(parameter.shape, generator: new Generator(seed)).mul_(0.1));
        return adapter;
    }

    private static float[] Logits(LlamaForCausalLm model)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        return model.Logits(model.Hidden(arange(3, 20).view(1, -1))).data<float>().ToArray();
    }
}
