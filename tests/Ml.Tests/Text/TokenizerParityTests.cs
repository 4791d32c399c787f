using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Text;

namespace RlhfFunctions.Ml.Tests.Text;

/// <summary>Ids and texts against what Hugging Face's own tokenizers gave.</summary>
[Trait("Category", "Parity")]
public class TokenizerParityTests
{
    [Fact]
    public void Llama_encodes_and_decodes_as_Hugging_Face()
    {
        var text = TokenizerFolders.TinyLlamaChat();
        foreach (var expected in Cases("golden/tokenizers/llama_chatv03_golden.json", "cases"))
        {
            var ids = Ids(expected, "ids");
            Assert.Equal(ids, text.Encode(Text(expected, "text")));
            Assert.Equal(Text(expected, "decode"), text.Decode(ids, skipSpecialTokens: false));
            Assert.Equal(Text(expected, "decode_skip_special"), text.Decode(ids));
        }
    }

    [Fact]
    public void Llama_reads_prompts_and_writes_responses_as_transformers()
    {
        var text = TokenizerFolders.TinyLlamaChat();
        foreach (var expected in Cases("golden/hf/llama/text/golden.json", "one_by_one"))
        {
            Assert.Equal(Ids(expected, "prompt_ids"), text.Encode(Text(expected, "prompt")));
            Assert.Equal(Text(expected, "text_with_specials"), text.Decode(Ids(expected, "new_ids"), skipSpecialTokens: false));
            Assert.Equal(Text(expected, "text"), text.Decode(Ids(expected, "new_ids")));
        }
    }

    [Fact]
    public void A_chat_prompt_has_the_ids_of_its_markers()
    {
        var text = TokenizerFolders.TinyLlamaChat();
        var ids = text.Encode("<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n");
        Assert.Equal([1, 32001], ids[..2]);
        Assert.Equal([32001, 32002, 32001], ids.Where(id => id > 32000));
        Assert.Equal((32001, 32002), (text.FindId("<|im_start|>"), text.FindId(ChatTemplate.EndOfTurn)));
    }

    [Fact]
    public void Roberta_encodes_as_Hugging_Face()
    {
        var text = TokenizerFolders.RobertaBase();
        foreach (var expected in Cases("golden/tokenizers/roberta_base_golden.json", "cases"))
            Assert.Equal(Ids(expected, "ids"), text.Encode(Text(expected, "text"), maxLength: int.MaxValue));
    }

    [Fact]
    public void Roberta_truncates_as_transformers()
    {
        var text = TokenizerFolders.RobertaBase();
        using var golden = Golden("golden/hf/roberta/text/golden.json");
        var maxLength = golden.RootElement.GetProperty("max_length").GetInt32();
        foreach (var expected in golden.RootElement.GetProperty("texts").EnumerateArray())
        {
            var ids = text.Encode(Text(expected, "text"), maxLength);
            var (head, tail) = (Ids(expected, "ids_head"), Ids(expected, "ids_tail"));
            Assert.Equal(expected.GetProperty("token_count").GetInt32(), ids.Length);
            Assert.Equal(head, ids[..head.Length]);
            Assert.Equal(tail, ids[^tail.Length..]);
        }
    }

    /// <summary>Every DialogSum row: prompt and summary by Llama's tokenizer, dialogue by RoBERTa's.</summary>
    [Fact]
    public void All_of_DialogSum_is_encoded_as_by_transformers()
    {
        var (llama, roberta) = (TokenizerFolders.TinyLlamaChat(), TokenizerFolders.RobertaBase());
        var data = DialogueReader.ReadFolder(SharedFolder.Path("data/dialogsum"));
        var expected = File.ReadLines(SharedFolder.Path("golden/tokenizers/dialogsum_ids.csv")).Skip(1).ToArray();
        Assert.Equal(data.Train.Count + data.Validation.Count + data.Test.Count, expected.Length);
        // In parallel, since one instance must serve all threads.
        Assert.Empty(expected.AsParallel().Where(line => line != Actual(line)));

        string Actual(string line)
        {
            var place = line.Split(',')[..2];
            var split = place[0] switch { "train" => data.Train, "validation" => data.Validation, _ => data.Test };
            var row = split[int.Parse(place[1], CultureInfo.InvariantCulture)];
            return string.Join(
                ',',
                [
                    .. place,
                    CountAndDigest(llama.Encode(PromptTemplate.Default.Fill(row.Dialogue))),
                    CountAndDigest(llama.Encode(row.Summary)),
                    CountAndDigest(roberta.Encode(row.Dialogue, maxLength: int.MaxValue)),
                ]);
        }
    }

    private static string CountAndDigest(int[] ids)
    {
        var bytes = new byte[ids.Length * sizeof(int)];
        for (var i = 0; i < ids.Length; i++)
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(i * sizeof(int)), ids[i]);
        return $"{ids.Length},{Convert.ToHexStringLower(SHA256.HashData(bytes).AsSpan(0, 8))}";
    }

    private static JsonDocument Golden(string path) => JsonDocument.Parse(File.ReadAllBytes(SharedFolder.Path(path)));

    private static JsonElement[] Cases(string path, string property)
    {
        using var golden = Golden(path);
        return [.. golden.RootElement.GetProperty(property).Clone().EnumerateArray()];
    }

    private static string Text(JsonElement element, string property) => element.GetProperty(property).GetString()!;

    private static int[] Ids(JsonElement element, string property) => [.. element.GetProperty(property).EnumerateArray().Select(id => id.GetInt32())];
}
