using CsCheck;
using Google.Protobuf;
using RlhfFunctions.Ml.Text;

namespace RlhfFunctions.Ml.Tests.Text;

public class LlamaTextTests
{
    private const int FirstPiece = 259; // after <unk>, <s>, </s> and 256 byte pieces

    private static readonly LlamaText Sample = LlamaText.FromFolder(RepositoryRoot.Path("samples/models/llama"));

    [Theory]
    [InlineData("aaa", "▁|aa|a")] // of equal letters, the left pair
    [InlineData("baaab", "▁|b|aa|ab")]
    [InlineData("abc", "▁|ab|c")] // the higher score, not the lower id
    [InlineData(" a", "▁|▁|a")]
    [InlineData("  a  ", "▁|▁|▁|a|▁|▁")] // spaces are kept
    [InlineData("", "")]
    public void Pairs_are_merged_by_score_and_from_the_left(string text, string pieces)
    {
        (string Piece, float Score)[] vocabulary = [("bc", -5), ("▁", -9), ("a", -9), ("b", -9), ("c", -9), ("ab", -2), ("aa", -1)];
        using var folder = FolderOf(vocabulary);
        var ids = LlamaText.FromFolder(folder.Root).Encode(text, addBos: false);
        Assert.Equal(pieces, string.Join('|', ids.Select(id => vocabulary[id - FirstPiece].Piece)));
    }

    [Fact]
    public void Llamas_defaults_hold_where_there_is_no_file_but_the_model()
    {
        using var folder = FolderOf(("▁", 0), ("a", -1));
        var text = LlamaText.FromFolder(folder.Root);
        Assert.Equal((1, 2, 2), (text.BosId!.Value, text.EosId, text.PadId));
        Assert.Equal(FirstPiece + 2, text.VocabularySize);
        Assert.Equal([1], text.Encode(""));
        Assert.Equal([1, 2, FirstPiece, FirstPiece + 1], text.Encode("</s>a"));
    }

    [Fact]
    public void What_the_vocabulary_lacks_is_spelt_in_bytes()
    {
        using var folder = FolderOf(("▁", 0), ("a", -1));
        var text = LlamaText.FromFolder(folder.Root);
        var ids = text.Encode("aé😀", addBos: false);
        Assert.Equal(2 + 2 + 4, ids.Length);
        Assert.Equal("aé😀", text.Decode(ids));
        Assert.Equal("a\uFFFD\uFFFD", text.Decode([.. ids[..3], ids[4]])); // é's first byte, then 😀's first: no UTF-8
        Assert.Equal("\uFFFD", text.Decode(text.Encode("\uD800")));
    }

    [Fact]
    public void An_unpaired_surrogate_counts_as_the_replacement_character()
    {
        using var folder = FolderOf(("▁", 0), ("a", -1), ("\uFFFD", -2));
        var text = LlamaText.FromFolder(folder.Root);
        Assert.Equal([FirstPiece, 260, 261, 260, 261], text.Encode("a\uD800a\uDC00", addBos: false));
    }

    [Theory]
    [InlineData(false, "identity", "byte_fallback")]
    [InlineData(true, "nmt_nfkc", "nmt_nfkc")]
    public void Models_that_Microsofts_tokenizer_would_read_otherwise_are_refused(bool byteFallback, string normalizer, string reason)
    {
        using var folder = FolderOf([("▁", 0)], byteFallback, normalizer);
        var message = Assert.Throws<InvalidDataException>(() => LlamaText.FromFolder(folder.Root)).Message;
        Assert.Contains("tokenizer.model", message, StringComparison.Ordinal);
        Assert.Contains(reason, message, StringComparison.Ordinal);
    }

    [Fact]
    public void Added_tokens_come_from_tokenizer_config()
    {
        using var folder = FolderOf(("▁", 0), ("a", -1));
        File.WriteAllText(folder.Path("tokenizer_config.json"), """
            {
              "pad_token": {"content": "[PAD]"}, "eos_token": "<end>",
              "added_tokens_decoder": {
                "261": {"content": "[PAD]", "special": true},
                "262": {"content": "<end>", "special": true, "lstrip": true, "rstrip": true},
                "264": {"content": "<end>>", "special": false}
              }
            }
            """);
        var text = LlamaText.FromFolder(folder.Root);
        Assert.Equal((1, 262, 261), (text.BosId!.Value, text.EosId, text.PadId));
        Assert.Equal((265, 264, null), (text.VocabularySize, text.FindId("<end>>"), text.FindId("<begin>")));
        Assert.Equal([1, FirstPiece, 260, 262, FirstPiece, 260, 264, 261], text.Encode("a <end> a<end>>[PAD]"));
        Assert.Equal("a a<end>>", text.Decode([1, FirstPiece, 260, 262, FirstPiece, 260, 264, 261]));
        var hole = Assert.Throws<ArgumentOutOfRangeException>(() => text.Decode([1, 263]));
        Assert.Contains("263", hole.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(1_000_000)]
    public void An_id_that_stands_for_no_token_is_named(int id) =>
        Assert.Contains($"{id} ", Assert.Throws<ArgumentOutOfRangeException>(() => Sample.Decode([1, id])).Message, StringComparison.Ordinal);

    [Fact]
    public void Broken_files_are_named()
    {
        using var folder = FolderOf(("▁", 0));
        File.WriteAllText(folder.Path("added_tokens.json"), """{"[PAD]": "x"}""");
        Assert.Contains("added_tokens.json", Failure(), StringComparison.Ordinal);
        File.WriteAllText(folder.Path("added_tokens.json"), "{");
        Assert.Contains("added_tokens.json", Failure(), StringComparison.Ordinal);
        File.WriteAllText(folder.Path("added_tokens.json"), "{}");
        File.WriteAllText(folder.Path("tokenizer_config.json"), """{"pad_token": "[PAD]"}""");
        Assert.Contains("pad_token \"[PAD]\"", Failure(), StringComparison.Ordinal);
        File.WriteAllText(folder.Path("tokenizer.model"), "version https://git-lfs.github.com/spec/v1");
        Assert.Contains("tokenizer.model", Failure(), StringComparison.Ordinal);
        File.Delete(folder.Path("tokenizer.model"));
        Assert.Contains("tokenizer.model is missing", Failure(), StringComparison.Ordinal);

        string Failure() => Assert.Throws<InvalidDataException>(() => LlamaText.FromFolder(folder.Root)).Message;
    }

    [Fact]
    public void Decoding_undoes_encoding() =>
        // A lone surrogate and the model's own sign for a space cannot come back.
        Gen.String.Where(text => !text.Contains('▁') && text.EnumerateRunes().All(rune => rune.Value != 0xFFFD))
            .Sample(text => Sample.Decode(Sample.Encode(text)) == text);

    /// <summary>A folder with a tokenizer.model of Llama's layout: &lt;unk&gt;, &lt;s&gt;, &lt;/s&gt;, 256 bytes, then these pieces.</summary>
    private static TemporaryFolder FolderOf(params (string Piece, float Score)[] pieces) => FolderOf(pieces, byteFallback: true, "identity");

    private static TemporaryFolder FolderOf((string Piece, float Score)[] pieces, bool byteFallback, string normalizer)
    {
        var folder = new TemporaryFolder();
        using var file = new CodedOutputStream(File.Create(folder.Path("tokenizer.model")));
        var bytes = Enumerable.Range(0, 256).Select(value => ($"<0x{value:X2}>", 0f));
        foreach (var (piece, score) in (IEnumerable<(string, float)>)[("<unk>", 0), ("<s>", 0), ("</s>", 0), .. bytes, .. pieces])
            WriteMessage(file, field: 1, message =>
            {
                message.WriteTag(1, WireFormat.WireType.LengthDelimited);
                message.WriteString(piece);
                message.WriteTag(2, WireFormat.WireType.Fixed32);
                message.WriteFloat(score);
            });
        WriteMessage(file, field: 2, message =>
        {
            message.WriteTag(3, WireFormat.WireType.Varint);
            message.WriteEnum(2); // BPE
            message.WriteTag(35, WireFormat.WireType.Varint);
            message.WriteBool(byteFallback);
        });
        WriteMessage(file, field: 3, message =>
        {
            message.WriteTag(1, WireFormat.WireType.LengthDelimited);
            message.WriteString(normalizer); // and, by default, "remove extra white space", which Hugging Face ignores
        });
        return folder;
    }

    private static void WriteMessage(CodedOutputStream file, int field, Action<CodedOutputStream> write)
    {
        using var bytes = new MemoryStream();
        using (var message = new CodedOutputStream(bytes, leaveOpen: true))
            write(message);
        file.WriteTag(field, WireFormat.WireType.LengthDelimited);
        file.WriteBytes(ByteString.CopyFrom(bytes.ToArray()));
    }
}
