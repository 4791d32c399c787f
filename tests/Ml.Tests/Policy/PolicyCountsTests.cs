using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Policy;
using RlhfFunctions.Ml.Tests.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Policy;

public sealed class PolicyCountsTests
{
    [Theory]
    [InlineData(1, "q_proj", "v_proj")]
    [InlineData(5, "all-linear")]
    [InlineData(3, "model.layers.1.mlp.down_proj", "k_proj")]
    public void Counts_are_those_of_an_adapter_attached_and_a_head_made(int rank, params string[] targets)
    {
        var lora = new LoraSettings { Rank = rank, TargetModules = targets };
        using var model = TinyLlama.Build();
        using var adapter = LoraAdapter.Attach(model, lora, seed: 1);
        using var head = new ValueHead(TinyLlama.Config.HiddenSize, CPU);
        var counts = PolicyCounts.Of(TinyLlama.Config, lora);
        Assert.Equal(model.parameters().Sum(p => p.numel()), counts.Base);
        Assert.Equal(adapter.Parameters.Sum(p => p.Parameter.numel()), counts.Adapter);
        Assert.Equal(head.Weight.numel() + head.Bias.numel(), counts.ValueHead);
    }

    [Fact]
    public void The_original_notebooks_counts_come_out()
    {
        var counts = PolicyCounts.Of(WeightInventoryTests.TinyLlama11B, new LoraSettings());
        Assert.Equal((1_102_313_472, 2_252_800), (counts.Base + counts.Adapter, counts.Adapter));
        Assert.Equal(0.2044, 100.0 * counts.Adapter / (counts.Base + counts.Adapter), 4e-5);
        Assert.Equal(617_871_360, counts.PackedBase + counts.Adapter);
        Assert.Equal((617_873_409, 2_254_849), (counts.PackedBase + counts.Trained, counts.Trained));
    }

    [Fact]
    public void A_target_the_model_lacks_is_refused_by_name() => Assert.Contains(
        "'c_attn'",
        Assert.Throws<ArgumentException>(() => PolicyCounts.Of(TinyLlama.Config, new() { TargetModules = ["c_attn"] })).Message,
        StringComparison.Ordinal);
}
