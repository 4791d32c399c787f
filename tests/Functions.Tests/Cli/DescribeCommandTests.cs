using RlhfFunctions.Contracts;
using RlhfFunctions.LocalHost.Cli;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.Functions.Tests.Cli;

public sealed class DescribeCommandTests
{
    /// <summary>As TinyLlama-1.1B-Chat-v0.3 has it.</summary>
    internal const string TinyLlama = """
        {"architectures":["LlamaForCausalLM"],"bos_token_id":1,"eos_token_id":2,"hidden_act":"silu","hidden_size":2048,"initializer_range":0.02,
         "intermediate_size":5632,"max_position_embeddings":2048,"model_type":"llama","num_attention_heads":32,"num_hidden_layers":22,
         "num_key_value_heads":4,"pretraining_tp":1,"rms_norm_eps":1e-05,"rope_scaling":null,"tie_word_embeddings":false,
         "torch_dtype":"float32","transformers_version":"4.33.1","use_cache":true,"vocab_size":32003}
        """;

    private const string RobertaBase = """
        {"model_type":"roberta","vocab_size":50265,"hidden_size":768,"num_hidden_layers":12,"num_attention_heads":12,"intermediate_size":3072,
         "max_position_embeddings":514,"type_vocab_size":1,"layer_norm_eps":1e-05,"pad_token_id":1,"id2label":{"0":"nothate","1":"hate"}}
        """;

    [Fact]
    public void A_language_model_is_counted_as_the_original_notebook_prints_it()
    {
        var rows = Describe(TinyLlama, new LoraSettings());
        Assert.Contains("base model | 1,100,060,672 | 0 | 0.0000 %", rows);
        Assert.Contains("with the adapter: rank 16 on q_proj, v_proj | 1,102,313,472 | 2,252,800 | 0.2044 %", rows);
        Assert.Contains("… 4-bit layers counted in bytes | 617,871,360 | 2,252,800 | 0.3646 %", rows);
        Assert.Contains("… 4-bit layers counted in bytes | 617,873,409 | 2,254,849 | 0.3649 %", rows);
        Assert.Contains("reference: the same, adapter off | 617,873,409 | 0 | 0.0000 %", rows);
        Assert.Contains("base model in float32 | 4,400.2", rows);
        Assert.Contains("base model in nf4 on a GPU (the rest float16) | 807.4", rows);
    }

    [Fact]
    public void Rank_and_targets_decide_what_is_trained()
    {
        var rows = Describe(TinyLlama, new LoraSettings { Rank = 8, TargetModules = ["q_proj"] });
        Assert.Contains(rows, row => row.Contains($" | {22 * 8 * (2048 + 2048):N0} | ", StringComparison.Ordinal));
    }

    [Fact]
    public void Models_built_like_Llama_are_counted_too()
    {
        const string Qwen = """
            {"model_type":"qwen2","vocab_size":151936,"hidden_size":896,"intermediate_size":4864,"num_hidden_layers":24,"num_attention_heads":14,
             "num_key_value_heads":2,"max_position_embeddings":32768,"tie_word_embeddings":true,"use_sliding_window":false,"sliding_window":32768,
             "max_window_layers":21,"rope_theta":1000000.0,"rms_norm_eps":1e-06,"hidden_act":"silu"}
            """;
        var rows = Describe(Qwen, new LoraSettings());
        Assert.Contains(rows, row => row.StartsWith("Qwen2: 24 layers", StringComparison.Ordinal));
        Assert.Contains("base model | 494,032,768 | 0 | 0.0000 %", rows); // as the model's card says, 0.49 B
    }

    [Fact]
    public void A_classifier_is_counted()
    {
        Assert.Contains("classifier | 124,647,170", Describe(RobertaBase, new LoraSettings()));
    }

    [Theory]
    [InlineData("""{"model_type":"gpt2"}""", "gpt2")]
    [InlineData("[1]", "no object")]
    public void What_cannot_be_counted_is_refused_with_the_reason(string config, string named)
    {
        Assert.Contains(named, Assert.Throws<UserErrorException>(() => Describe(config, new LoraSettings())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Impossible_adapters_and_missing_files_are_refused_with_the_reason()
    {
        Assert.Contains("Rank", Refusal(() => Describe(TinyLlama, new LoraSettings { Rank = 0 })), StringComparison.Ordinal);
        Assert.Contains("c_attn", Refusal(() => Describe(TinyLlama, new LoraSettings { TargetModules = ["c_attn"] })), StringComparison.Ordinal);
        using var console = new ConsoleText();
        Assert.Contains("missing", Refusal(() => DescribeCommand.Run(Path.GetTempPath(), new LoraSettings(), console.Console)), StringComparison.Ordinal);

        static string Refusal(Action describe)
        {
            return Assert.Throws<UserErrorException>(describe).Message;
        }
    }

    private static IReadOnlyList<string> Describe(string config, LoraSettings lora)
    {
        string folder = Directory.CreateTempSubdirectory("rlhf-describe-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(folder, "config.json"), config);
            using var console = new ConsoleText();
            DescribeCommand.Run(folder, lora, console.Console);
            return console.Rows();
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
