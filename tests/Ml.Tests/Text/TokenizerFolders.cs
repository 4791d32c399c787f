using RlhfFunctions.Ml.Text;

namespace RlhfFunctions.Ml.Tests.Text;

/// <summary>Tokenizers of the shared folder.</summary>
internal static class TokenizerFolders
{
    /// <summary>Llama 2's vocabulary with the three tokens that TinyLlama-1.1B-Chat-v0.3 adds.</summary>
    public static LlamaText TinyLlamaChat()
    {
        using var folder = new TemporaryFolder();
        File.Copy(SharedFolder.Path("data/llama/tokenizer.model"), folder.Path("tokenizer.model"));
        File.WriteAllText(folder.Path("added_tokens.json"), """{"[PAD]": 32000, "<|im_start|>": 32001, "<|im_end|>": 32002}""");
        File.WriteAllText(
            folder.Path("special_tokens_map.json"),
            """{"bos_token": "<s>", "eos_token": "</s>", "pad_token": "[PAD]", "unk_token": {"content": "<unk>"}}""");
        return LlamaText.FromFolder(folder.Root);
    }

    public static RobertaText RobertaBase() => RobertaText.FromFolder(SharedFolder.Path("data/roberta"));
}
