using System.Text;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Decoding;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Models;

/// <summary>The architectures beside Llama's, by random weights: against <see cref="PlainForward"/>, and in every way a model is used here.</summary>
public sealed class ArchitectureTests
{
    private const string Shape =
        """
        "vocab_size":61,"hidden_size":64,"intermediate_size":128,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,
        "max_position_embeddings":48,"rms_norm_eps":1e-5,"initializer_range":0.3,"hidden_act":"silu"
        """;

    private static readonly long[] Ids = [1, 17, 4, 4, 58, 30, 2, 9, 11, 60, 3];

    private static readonly Dictionary<string, string> Configs = new()
    {
        ["Llama 3.2"] = """ "model_type":"llama","tie_word_embeddings":true,"rope_theta":500000.0,"head_dim":16 """,
        ["SmolLM2"] = """ "model_type":"llama","tie_word_embeddings":true,"is_llama_config":true,"rope_interleaved":false,"rope_theta":100000 """,
        ["Mistral"] = """ "model_type":"mistral","sliding_window":4096,"rope_theta":10000.0,"tie_word_embeddings":false """,
        ["Qwen2"] = """ "model_type":"qwen2","use_sliding_window":false,"sliding_window":32768,"max_window_layers":21,"rope_theta":1000000.0,"tie_word_embeddings":true,"use_mrope":false """,
        ["Qwen3"] = """ "model_type":"qwen3","attention_bias":false,"head_dim":32,"use_sliding_window":false,"sliding_window":null,"max_window_layers":28,"rope_theta":1000000,"tie_word_embeddings":true """,
    };

    public static TheoryData<string> Names => [.. Configs.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Logits_are_those_of_the_plain_forward_pass_whole_with_a_cache_and_in_fused_loops(string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = Build(name);
        var weights = model.named_parameters().ToDictionary(p => p.name, p => (Tensor)p.parameter);
        var expected = PlainForward.Logits(model.Config, weights, Ids); // [T, V]

        AssertTensor.Close(expected, model.Logits(model.Hidden(tensor(Ids).unsqueeze(0)))[0], 1e-4, "whole");
        using var cache = new KvCache(Ids.Length);
        var steps = Ids.Select(id => model.Logits(model.Hidden(tensor(new[] { id }).unsqueeze(0), cache: cache))[0]).ToArray();
        AssertTensor.Close(expected, cat(steps), 1e-4, "with a cache");
        AssertTensor.Close(expected, Fused(model), 1e-4, "fused");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void An_adapter_learns_on_it_and_goes_out_and_in_as_PEFT(string name)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = Build(name);
        using (var adapter = LoraAdapter.Attach(model, new LoraSettings { Rank = 2, Alpha = 4, TargetModules = ["all-linear"] }, seed: 1))
        {
            foreach (var (_, parameter) in adapter.Parameters)
                using (no_grad())
                    parameter.copy_(randn_like(parameter).mul_(0.1));
            var logits = model.Logits(model.Hidden(tensor(Ids).unsqueeze(0)))[0];
            logits.logsumexp(-1).sum().backward();
            Assert.All(adapter.Parameters, p => Assert.True(p.Parameter.grad!.abs().sum().item<float>() > 0, p.Name));
            using (no_grad())
                AssertTensor.Close(logits.detach(), Fused(model), 1e-4, "fused, adapter on");
            var places = arange(Ids.Length);
            var again = model.Logits(model.HiddenAt(tensor(Ids).unsqueeze(0), places, recomputes: true))[0];
            AssertTensor.Close(logits.detach(), again.detach(), 1e-4, "recomputed");
            PeftAdapterFolder.Write(folder.Root, adapter, "base");
        }
        var peft = PeftAdapterFolder.Open(folder.Root);
        Assert.Equal(["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"], peft.Settings.TargetModules.Order());
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void In_four_bits_it_computes_what_its_rounded_weights_say(string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TemporaryFolder();
        using var model = Build(name);
        folder.Write("config.json", $"{{{Shape},{Configs[name]}}}");
        File.WriteAllBytes(
            folder.Path("model.safetensors"), SafetensorsFile.Write(model.named_parameters().ToDictionary(p => p.name, p => (Tensor)p.parameter)));
        using var quantized = LlamaForCausalLm.Load(folder.Root, ModelPrecision.Nf4, computeType: ScalarType.Float32);
        using var bfloat = LlamaForCausalLm.Load(folder.Root, ModelPrecision.Nf4);

        var logits = quantized.Logits(quantized.Hidden(tensor(Ids).unsqueeze(0)))[0];
        AssertTensor.Close(logits, Fused(quantized), 1e-4, "fused");
        Assert.True(FusedLlama.CanRun(bfloat), "a summand in bfloat16 keeps no model from the fused loops");
        Assert.Equal(Ids.Length, Fused(bfloat).shape[0]);
        Assert.NotEqual(0, (logits - model.Logits(model.Hidden(tensor(Ids).unsqueeze(0)))[0]).abs().max().item<float>());
    }

    [Theory]
    [InlineData(""" "model_type":"mistral","sliding_window":16 """, 16)]
    [InlineData(""" "model_type":"mistral","sliding_window":null """, 48)]
    [InlineData(""" "model_type":"mistral" """, 48)]
    [InlineData(""" "model_type":"qwen2","use_sliding_window":true,"sliding_window":16 """, 16)]
    [InlineData(""" "model_type":"qwen2","use_sliding_window":false,"sliding_window":16 """, 48)]
    [InlineData(""" "model_type":"qwen3","layer_types":["full_attention","sliding_attention"],"sliding_window":16 """, 16)]
    public void A_sliding_window_ends_the_context(string keys, int positions) => Assert.Equal(positions, Read(keys).ContextLength);

    [Theory]
    [InlineData(""" "model_type":"qwen2","rope_scaling":{"rope_type":"yarn","factor":4.0} """, "yarn")]
    [InlineData(""" "model_type":"mistral","attn_logit_softcapping":30.0 """, "attn_logit_softcapping")]
    [InlineData(""" "model_type":"qwen3_moe" """, "qwen3_moe")]
    public void What_is_not_computed_is_refused_by_name(string keys, string named) =>
        Assert.Contains(named, Assert.Throws<InvalidDataException>(() => Read(keys)).Message, StringComparison.Ordinal);

    private static LlamaConfig Read(string keys) => LlamaConfig.Read(ConfigFile.Parse(Encoding.UTF8.GetBytes($"{{{Shape},{keys}}}"), "config.json"));

    /// <summary>Every weight random, factors and summands too.</summary>
    private static LlamaForCausalLm Build(string name)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(7, CPU);
        var model = new LlamaForCausalLm(Read(Configs[name]), seed: 1);
        foreach (var (_, parameter) in model.named_parameters().Where(p => p.parameter.dim() == 1))
            parameter.add_(randn(parameter.shape, generator: generator).mul_(0.3));
        return model;
    }

    private static Tensor Fused(LlamaForCausalLm model)
    {
        using var fused = new FusedLlama(model, [Ids.Length], threads: 2);
        var logits = new List<float>();
        fused.Feed([.. Ids.Select(id => new FedToken(0, (int)id, IsWanted: true))], (_, count) =>
        {
            for (var wanted = 0; wanted < count; wanted++)
                logits.AddRange(fused.LogitsOf(wanted));
        });
        return tensor(logits.ToArray()).view(Ids.Length, -1);
    }
}
