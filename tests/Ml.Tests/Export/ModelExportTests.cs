using System.Text.Json.Nodes;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Export;
using RlhfFunctions.Ml.Lora;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Tests.Models;
using RlhfFunctions.Ml.Tests.Text;
using RlhfFunctions.Ml.Text;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Export;

/// <summary>What leaves is what was here: read back, and by llama.cpp.</summary>
public sealed class ModelExportTests
{
    private const int Length = 24;

    private static readonly string Sample = RepositoryRoot.Path("samples/models/llama");

    private static readonly string[] Dialogues =
    [
        "#Person1#: You are late again!\n#Person2#: I missed the bus.", "#Person1#: Shall we have sushi?\n#Person2#: I cannot come, sorry.",
        "#Person1#: I need a room.\n#Person2#: We have one with a view.", "#Person1#: Mmmm, 12 € a kilo…\n#Person2#: 你好, how nice 😀",
    ];

    [Fact]
    public void The_sample_model_with_an_adapter_writes_the_same_text_in_llama_cpp_merged_and_beside_it()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        var text = LlamaText.FromFolder(Sample);
        using var model = LlamaForCausalLm.Load(Sample);
        using var adapter = Adapter(model);
        PeftAdapterFolder.Write(folder.Path("peft"), adapter, "sample");
        ModelExport.Gguf(Sample, folder.Path("peft"), ScalarType.Float16, folder.Path("merged"));
        ModelExport.Gguf(Sample, null, ScalarType.Float16, folder.Path("base"));
        ModelExport.GgufAdapter(Sample, folder.Path("peft"), ScalarType.Float32, folder.Path("lora"));
        using var merged = new LlamaCpp(folder.Path("merged/model.gguf"));
        using var plain = new LlamaCpp(folder.Path("base/model.gguf"));
        using var beside = new LlamaCpp(folder.Path("base/model.gguf"), folder.Path("lora/adapter.gguf"));

        foreach (var prompt in Dialogues.Select(PromptTemplate.Default.Fill))
        {
            var ids = text.Encode(prompt);
            Assert.Equal(ids, merged.Tokenize(prompt));
            var ours = Greedy(model, ids, text.EosId);
            Assert.Equal(ours, merged.Greedy(ids, Length, text.EosId));
            Assert.Equal(ours, beside.Greedy(ids, Length, text.EosId));
            Assert.Equal(text.Decode(ours), merged.Text(ours.Where(id => id != text.EosId)).TrimStart(' '));
            adapter.Enabled = false;
            var without = Greedy(model, ids, text.EosId);
            adapter.Enabled = true;
            Assert.Equal(without, plain.Greedy(ids, Length, text.EosId));
            Assert.NotEqual(ours, without);
        }
    }

    [Theory]
    [InlineData("Llama 3", """ "model_type":"llama","rope_theta":500000.0,"rope_scaling":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":16},"tie_word_embeddings":true """, "llama-bpe")]
    [InlineData("SmolLM2", """ "model_type":"llama","tie_word_embeddings":true,"rope_theta":100000.0,"attention_bias":true,"mlp_bias":false """, "smollm")]
    [InlineData("TinyLlama", """ "model_type":"mistral","sliding_window":null,"rope_theta":10000.0,"rope_scaling":{"type":"linear","factor":2.0} """, "default")]
    [InlineData("Qwen2", """ "model_type":"qwen2","use_sliding_window":false,"rope_theta":1000000.0,"tie_word_embeddings":true """, "qwen2")]
    [InlineData("Qwen2", """ "model_type":"qwen3","head_dim":32,"rope_theta":1000000.0,"tie_word_embeddings":false """, "qwen2")]
    public void Every_architecture_and_tokenizer_computes_and_cuts_the_same_in_llama_cpp(string tokenizer, string keys, string cuts)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = TokenizerJsonTests.SampleFolder(tokenizer);
        var text = LlamaText.FromFolder(folder.Root);
        folder.Write(
            "config.json",
            $$"""
            {"vocab_size":{{text.VocabularySize + 5}},"hidden_size":64,"intermediate_size":96,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,
             "max_position_embeddings":128,"rms_norm_eps":1e-5,"initializer_range":0.2,{{keys}}}
            """);
        WriteRandomWeights(folder);
        using var model = LlamaForCausalLm.Load(folder.Root);
        using (var adapter = Adapter(model))
            PeftAdapterFolder.Write(folder.Path("peft"), adapter, "random");
        using var trained = PeftAdapterFolder.Open(folder.Path("peft")).Attach(model);
        ModelExport.Gguf(folder.Root, folder.Path("peft"), ScalarType.Float32, folder.Path("merged"));
        ModelExport.Gguf(folder.Root, null, ScalarType.Float32, folder.Path("base"));
        ModelExport.GgufAdapter(folder.Root, folder.Path("peft"), ScalarType.Float32, folder.Path("lora"));
        using var merged = new LlamaCpp(folder.Path("merged/model.gguf"));
        using var beside = new LlamaCpp(folder.Path("base/model.gguf"), folder.Path("lora/adapter.gguf"));

        Assert.Equal(cuts, merged.Metadata["tokenizer.ggml.pre"]);
        foreach (var dialogue in Dialogues)
        {
            var ids = text.Encode(dialogue);
            Assert.Equal(ids, merged.Tokenize(dialogue));
            var ours = model.Logits(model.Hidden(tensor(Array.ConvertAll(ids, id => (long)id)).unsqueeze(0)))[0, -1];
            AssertTensor.Close(ours, tensor(merged.Logits(ids)), 2e-3, "merged");
            AssertTensor.Close(ours, tensor(beside.Logits(ids)), 2e-3, "beside");
        }
    }

    [Theory]
    [InlineData(ScalarType.Float16, 2e-3)]
    [InlineData(ScalarType.BFloat16, 2e-2)]
    public void A_merged_folder_loads_as_the_model_with_its_adapter(ScalarType type, double tolerance)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var model = LlamaForCausalLm.Load(Sample);
        using var adapter = Adapter(model);
        PeftAdapterFolder.Write(folder.Path("peft"), adapter, "sample");
        var written = ModelExport.Merged(Sample, folder.Path("peft"), type, folder.Path("merged"));
        Assert.Equal(["config.json", "model.safetensors", "tokenizer.model", "tokenizer_config.json"], written.Select(file => Path.GetFileName(file)).Order());

        using var again = LlamaForCausalLm.Load(folder.Path("merged"));
        adapter.Merge();
        var expected = model.named_parameters().ToDictionary(p => p.name, p => p.parameter);
        foreach (var (name, parameter) in again.named_parameters())
            AssertTensor.Close(expected[name].detach(), parameter.detach(), tolerance * expected[name].abs().max().item<float>(), name);
        Assert.Equal(type == ScalarType.Float16 ? "float16" : "bfloat16", JsonNode.Parse(File.ReadAllText(folder.Path("merged/config.json")))!["torch_dtype"]!.GetValue<string>());
        Assert.Equal(LlamaText.FromFolder(Sample).Encode("Tom is late"), LlamaText.FromFolder(folder.Path("merged")).Encode("Tom is late"));
    }

    [Fact]
    public void A_model_in_four_bits_is_written_out_in_full()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        Nf4Checkpoint.Write(Sample, folder.Path("nf4"));
        ModelExport.Merged(folder.Path("nf4"), null, ScalarType.Float32, folder.Path("full"));
        using var quantized = LlamaForCausalLm.Load(folder.Path("nf4"));
        using var full = LlamaForCausalLm.Load(folder.Path("full"));
        var expected = quantized.named_parameters().ToDictionary(p => p.name, p => p.parameter);
        foreach (var (name, parameter) in full.named_parameters())
            AssertTensor.Identical(expected[name].detach(), parameter.detach(), name);
    }

    [Fact]
    public void An_adapter_goes_out_as_PEFT_under_the_name_of_its_base()
    {
        using var folder = new TemporaryFolder();
        using (var model = LlamaForCausalLm.Load(Sample))
        using (var adapter = Adapter(model))
            PeftAdapterFolder.Write(folder.Path("peft"), adapter, "somewhere");
        ModelExport.Peft(Sample, folder.Path("peft"), folder.Path("out"), "owner/name");
        Assert.Equal("owner/name", PeftAdapterFolder.Open(folder.Path("out")).BaseModel);
        Assert.Equal(File.ReadAllBytes(folder.Path("peft/adapter_model.safetensors")), File.ReadAllBytes(folder.Path("out/adapter_model.safetensors")));
    }

    [Fact]
    public void What_does_not_belong_together_or_does_not_fit_is_named()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using (var other = TinyLlama.Build())
        using (var adapter = Adapter(other))
            PeftAdapterFolder.Write(folder.Path("peft"), adapter, "other");
        Assert.Contains("belong to no layer", Failure(() => ModelExport.Merged(Sample, folder.Path("peft"), ScalarType.Float16, folder.Path("a"))), StringComparison.Ordinal);
        Assert.Contains("belong to no layer", Failure(() => ModelExport.Peft(Sample, folder.Path("peft"), folder.Path("b"))), StringComparison.Ordinal);

        Directory.CreateDirectory(folder.Path("large"));
        foreach (var name in new[] { "config.json", "tokenizer.model", "tokenizer_config.json" })
            File.Copy(Path.Combine(Sample, name), folder.Path($"large/{name}"));
        using (var model = LlamaForCausalLm.Load(Sample))
        using (no_grad())
            File.WriteAllBytes(folder.Path("large/model.safetensors"), SafetensorsFile.Write(model.named_parameters().ToDictionary(p => p.name, p => p.parameter.mul(1e7))));
        Assert.Contains("bf16", Failure(() => ModelExport.Gguf(folder.Path("large"), null, ScalarType.Float16, folder.Path("c"))), StringComparison.Ordinal);

        static string Failure(Action export) => Assert.Throws<InvalidDataException>(export).Message;
    }

    [Fact]
    public void A_tokenizer_that_llama_cpp_has_no_name_for_is_refused()
    {
        using var folder = TokenizerJsonTests.SampleFolder("Qwen2");
        var json = JsonNode.Parse(File.ReadAllText(folder.Path("tokenizer.json")))!;
        json["pre_tokenizer"]!["pretokenizers"]![0]!["pattern"]!["Regex"] = @"\w+";
        folder.Write("tokenizer.json", json.ToJsonString());
        Assert.Contains(@"\w+", Assert.Throws<InvalidDataException>(() => GgufVocabulary.Read(folder.Root, 1000)).Message, StringComparison.Ordinal);
    }

    private static LoraAdapter Adapter(LlamaForCausalLm model)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(3, CPU);
        var adapter = LoraAdapter.Attach(model, new LoraSettings { Rank = 4, Alpha = 8, TargetModules = ["all-linear"] }, seed: 1);
        foreach (var (_, parameter) in adapter.Parameters)
            parameter.copy_(randn(parameter.shape, generator: generator).mul_(0.1));
        return adapter;
    }

    private static int[] Greedy(LlamaForCausalLm model, int[] prompt, int end)
    {
        var ids = GreedyLoop.Run(model, [Array.ConvertAll(prompt, id => (long)id)], Length, [end], end, useCache: true)[0];
        var last = Array.IndexOf(ids, end);
        return Array.ConvertAll(last < 0 ? ids : ids[..(last + 1)], id => (int)id);
    }

    /// <summary>Every weight random, factors and summands too.</summary>
    private static void WriteRandomWeights(TemporaryFolder folder)
    {
        using var generator = new Generator(7, CPU);
        using var model = new LlamaForCausalLm(LlamaConfig.Load(folder.Root), seed: 1);
        foreach (var (_, parameter) in model.named_parameters().Where(p => p.parameter.dim() == 1))
            parameter.add_(randn(parameter.shape, generator: generator).mul_(0.3));
        File.WriteAllBytes(folder.Path("model.safetensors"), SafetensorsFile.Write(model.named_parameters().ToDictionary(p => p.name, p => (Tensor)p.parameter)));
    }
}
