using System.Text.Json.Nodes;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Lora;

/// <summary>Against numbers from executing PEFT (golden/hf/peft).</summary>
[Trait("Category", "Parity")]
public sealed class PeftParityTests
{
    private const double Tolerance = 1e-4; // of logits of size 10 in float32

    public static TheoryData<string> Folders => ["q-v", "rslora", "all-linear", "newest"];

    [Theory]
    [MemberData(nameof(Folders))]
    public void An_adapter_folder_gives_pefts_logits_switched_on_and_off_and_merged(string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var (model, adapter, golden) = Load(name);
        var isReal = golden.Load("attention_mask").to(ScalarType.Bool);
        Tensor Logits() => model.Logits(model.Hidden(golden.Load("input_ids"), isRealToken: isReal))[isReal];

        AssertTensor.Close(golden.Load("logits.adapter")[isReal], Logits(), Tolerance, "adapter");
        adapter.Enabled = false;
        AssertTensor.Close(golden.Load("logits.disabled")[isReal], Logits(), Tolerance, "disabled");
        adapter.Enabled = true;
        adapter.Merge();
        AssertTensor.Close(golden.Load("logits.merged")[isReal], Logits(), Tolerance, "merged");
        var weights = model.state_dict();
        foreach (var key in golden.Entries.Keys.Where(k => k.StartsWith("merged.model.", StringComparison.Ordinal)))
            AssertTensor.Close(golden.Load(key), weights[key["merged.".Length..]], 1e-6, key);
    }

    [Theory]
    [MemberData(nameof(Folders))]
    public void A_folder_read_and_written_again_holds_the_same(string name)
    {
        using var scope = NewDisposeScope();
        var (_, adapter, _) = Load(name);
        var copy = Directory.CreateTempSubdirectory("peft-").FullName;
        try
        {
            PeftAdapterFolder.Write(copy, adapter, "a/base");
            var read = PeftAdapterFolder.Open(copy);
            Assert.Equal("a/base", read.BaseModel);
            Assert.Equivalent(adapter.Settings, read.Settings);
            var original = SharedFolder.Path($"golden/hf/peft/{name}/adapter");
            using var before = SafetensorsFile.Open(Path.Combine(original, PeftAdapterFolder.WeightsFileName));
            using var after = SafetensorsFile.Open(Path.Combine(copy, PeftAdapterFolder.WeightsFileName));
            Assert.Equal(before.Entries.Keys, after.Entries.Keys);
            Assert.Equal(before.Metadata, after.Metadata);
            foreach (var key in before.Entries.Keys)
                AssertTensor.Identical(before.Load(key), after.Load(key), key);
            if (name == "newest")
                return; // has keys of later versions
            var (was, now) = (Config(original), Config(copy));
            Assert.Equal(was.Select(p => p.Key), now.Select(p => p.Key)); // the very keys of PEFT 0.13, in its order
            foreach (var (key, value) in was.Where(p => p.Key is not ("base_model_name_or_path" or "target_modules")))
                Assert.True(JsonNode.DeepEquals(value, now[key]), $"{key}: {now[key]?.ToJsonString()} instead of {value?.ToJsonString()}");
            Assert.Equal(Targets(was), Targets(now)); // a set: PEFT writes it in any order
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    [Theory]
    [InlineData("q-v")]
    [InlineData("rslora")]
    [InlineData("all-linear")]
    public void Merging_into_half_precision_gives_pefts_weights(string name)
    {
        const string key = "model.layers.0.self_attn.q_proj.weight";
        using var scope = NewDisposeScope();
        using var model = LlamaForCausalLm.Load(SharedFolder.Path("golden/hf/llama/gqa-untied"), Contracts.ModelPrecision.Float16);
        var adapter = PeftAdapterFolder.Open(SharedFolder.Path($"golden/hf/peft/{name}/adapter")).Attach(model);
        adapter.Merge();
        using var golden = SafetensorsFile.Open(SharedFolder.Path($"golden/hf/peft/{name}/golden.safetensors"));
        AssertTensor.Identical(golden.Load($"merged.fp16.{key}"), model.state_dict()[key], key);
    }

    private static JsonObject Config(string folder) =>
        JsonNode.Parse(File.ReadAllText(Path.Combine(folder, PeftAdapterFolder.ConfigFileName)))!.AsObject();

    private static IEnumerable<string> Targets(JsonObject config) =>
        config["target_modules"]!.AsArray().Select(target => target!.GetValue<string>()).Order(StringComparer.Ordinal);

    private static (LlamaForCausalLm Model, LoraAdapter Adapter, SafetensorsFile Golden) Load(string name)
    {
        var folder = PeftAdapterFolder.Open(SharedFolder.Path($"golden/hf/peft/{name}/adapter"));
        // The golden adapters name their base by its folder in golden/hf.
        var model = LlamaForCausalLm.Load(SharedFolder.Path($"golden/hf/{folder.BaseModel}"));
        return (model, folder.Attach(model), SafetensorsFile.Open(SharedFolder.Path($"golden/hf/peft/{name}/golden.safetensors")));
    }
}
