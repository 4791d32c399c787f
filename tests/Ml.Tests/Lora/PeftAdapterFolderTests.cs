using System.Text.Json.Nodes;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Tests.Models;

namespace RlhfFunctions.Ml.Tests.Lora;

public sealed class PeftAdapterFolderTests
{
    [Theory]
    [InlineData("use_dora", "true")]
    [InlineData("bias", "\"lora_only\"")]
    [InlineData("rank_pattern", """{"q_proj":8}""")]
    [InlineData("alpha_pattern", """{"q_proj":8}""")]
    [InlineData("modules_to_save", """["lm_head"]""")]
    [InlineData("layers_to_transform", "[0]")]
    [InlineData("init_lora_weights", "\"pissa\"")]
    [InlineData("peft_type", "\"IA3\"")]
    [InlineData("target_modules", "\".*proj\"")]
    public void What_would_compute_something_else_is_refused_by_name(string key, string value)
    {
        using var folder = Written();
        var path = Path.Combine(folder.Root, PeftAdapterFolder.ConfigFileName);
        var config = JsonNode.Parse(File.ReadAllText(path))!;
        config[key] = JsonNode.Parse(value);
        File.WriteAllText(path, config.ToJsonString());
        var error = Assert.Throws<InvalidDataException>(() => PeftAdapterFolder.Open(folder.Root));
        Assert.Contains(key, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_weights_are_named_and_leave_the_model_without_an_adapter()
    {
        using var folder = Written();
        File.Delete(Path.Combine(folder.Root, PeftAdapterFolder.WeightsFileName));
        using var model = TinyLlama.Build();
        var read = PeftAdapterFolder.Open(folder.Root);
        var error = Assert.Throws<InvalidDataException>(() => read.Attach(model));
        Assert.Contains(PeftAdapterFolder.WeightsFileName, error.Message, StringComparison.Ordinal);
        Assert.All(model.Projections(), p => Assert.Null(p.Layer.Adapter));
    }

    [Fact]
    public void Weights_as_a_pickle_are_refused_with_the_reason()
    {
        using var folder = Written();
        File.Delete(folder.Path(PeftAdapterFolder.WeightsFileName));
        folder.Write("adapter_model.bin", "PK");
        using var model = TinyLlama.Build();
        var error = Assert.Throws<InvalidDataException>(() => PeftAdapterFolder.Open(folder.Root).Attach(model));
        Assert.Contains("adapter_model.bin", error.Message, StringComparison.Ordinal);
        Assert.Contains("runs code", error.Message, StringComparison.Ordinal);
    }

    private static TemporaryFolder Written()
    {
        var folder = new TemporaryFolder();
        using var model = TinyLlama.Build();
        using var adapter = LoraAdapter.Attach(model, new LoraSettings { Rank = 2 }, seed: 1);
        PeftAdapterFolder.Write(folder.Root, adapter, "a/base");
        return folder;
    }
}
