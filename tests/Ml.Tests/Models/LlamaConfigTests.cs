using System.Text;
using System.Text.Json.Nodes;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Models;

namespace RlhfFunctions.Ml.Tests.Models;

public sealed class LlamaConfigTests
{
    private const string Plain = """
        {"model_type":"llama","vocab_size":31,"hidden_size":24,"intermediate_size":40,"num_hidden_layers":2,"num_attention_heads":6}
        """;

    [Fact]
    public void What_a_configuration_leaves_out_is_as_transformers_defaults_it()
    {
        var config = Read();
        Assert.Equal((6, 4, 2048), (config.KeyValueHeads, config.HeadSize, config.ContextLength));
        Assert.Equal((1e-6, 10_000.0, 0.02), (config.RmsNormEpsilon, config.RopeTheta, config.InitializerRange));
        Assert.Null(config.RopeScaling);
        Assert.Empty(config.EndOfTextIds);
    }

    [Fact]
    public void Rotary_settings_are_read_as_transformers_four_and_five_write_them()
    {
        Assert.Equal(5e5, Read(("rope_parameters", """{"rope_type":"default","rope_theta":500000.0}""")).RopeTheta);
        Assert.Equal(2, Read(("rope_scaling", """{"type":"linear","factor":2.0}""")).RopeScaling!.Factor);
        const string llama3 =
            """{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":16}""";
        Assert.Equal(Read(("rope_scaling", llama3)).RopeScaling, Read(("rope_parameters", llama3)).RopeScaling);
    }

    [Theory]
    [InlineData("is_llama_config", "true")] // SmolLM
    [InlineData("rope_interleaved", "false")]
    [InlineData("max_sequence_length", "2048")] // the first Llama
    [InlineData("pretraining_tp", "2")]
    [InlineData("dtype", "\"bfloat16\"")]
    [InlineData("head_dim", "null")]
    [InlineData("transformers.js_config", """{"dtype":"q4"}""")]
    public void Keys_that_change_nothing_are_let_pass(string key, string value) =>
        Assert.Equivalent(Read(), Read((key, value)), strict: true);

    [Fact]
    public void Several_ids_may_end_a_text_and_the_generation_configuration_comes_first()
    {
        Assert.Equal([7, 9], Read(("eos_token_id", "[7, 9]")).EndOfTextIds);
        using var folder = new TemporaryFolder();
        folder.Write("config.json", Plain);
        Assert.Equal([5], LlamaConfig.Load(folder.Write("generation_config.json", """{"eos_token_id":5}""")).EndOfTextIds);
    }

    [Theory]
    [InlineData("model_type", "\"gemma2\"", "gemma2")]
    [InlineData("hidden_act", "\"gelu\"", "gelu")]
    [InlineData("rope_scaling", """{"rope_type":"yarn","factor":4.0}""", "yarn")]
    [InlineData("rope_parameters", """{"rope_type":"linear","factor":4.0,"beta_fast":32}""", "beta_fast")]
    [InlineData("sliding_window", "4096", "sliding_window")]
    [InlineData("quantization_config", """{"quant_method":"gptq","bits":4}""", "gptq")]
    [InlineData("quantization_config", """{"quant_method":"bitsandbytes","load_in_8bit":true}""", "4-bit")]
    [InlineData("num_key_value_heads", "4", "share")]
    [InlineData("hidden_size", "\"24\"", "hidden_size")]
    public void What_this_loader_does_not_compute_is_refused_by_name(string key, string value, string named) =>
        Assert.Contains(named, Assert.Throws<InvalidDataException>(() => Read((key, value))).Message, StringComparison.Ordinal);

    private static LlamaConfig Read(params (string Key, string Value)[] changes)
    {
        var json = JsonNode.Parse(Plain)!;
        foreach (var (key, value) in changes)
            json[key] = JsonNode.Parse(value);
        return LlamaConfig.Read(ConfigFile.Parse(Encoding.UTF8.GetBytes(json.ToJsonString()), "config.json"));
    }
}
