using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using CsCheck;
using Google.Protobuf;
using RlhfFunctions.Ml.Text;

namespace RlhfFunctions.Ml.Tests.Text;

/// <summary>XLM-RoBERTa's tokenizer, over the sample Llama's pieces, against Hugging Face's own Rust tokenizers.</summary>
public sealed class UnigramTextTests
{
    private const int Mask = 4; // pieces: <s>, <pad>, </s> and <unk> of the model, then SentencePiece's

    private static readonly string[] Pieces =
        [.. SentencePieceModel.Read(RepositoryRoot.Path("samples/models/llama/tokenizer.model")).Texts.Where(piece => !piece.StartsWith('<') && piece.Length > 0)];

    [Fact]
    public void Ids_are_those_of_the_Rust_tokenizers()
    {
        Assert.SkipUnless(
            OperatingSystem.IsLinux() && RuntimeInformation.OSArchitecture == Architecture.X64, "Hugging Face's tokenizers are at hand for Linux on x64 only.");
        using var folder = Folder();
        using var rust = new Tokenizers.DotNet.Tokenizer(folder.Path("tokenizer.json"));
        var text = RobertaText.FromFolder(folder.Root);
        Texts.Sample(sample => Assert.Equal(Array.ConvertAll(rust.Encode(sample), id => (int)id), text.Encode(sample)), iter: 1000, threads: 1);
    }

    [Fact]
    public void Special_tokens_have_the_ids_of_XLM_RoBERTa()
    {
        using var folder = Folder();
        var text = RobertaText.FromFolder(folder.Root);
        Assert.Equal(1, text.PadId);
        Assert.Equal([0, Pieces.Length + Mask, 3, 2], text.Encode("  <mask><unk>")); // the mask takes the spaces on its left
    }

    [Fact]
    public void A_damaged_model_is_named()
    {
        using var folder = new TemporaryFolder();
        folder.Write("sentencepiece.bpe.model", "no protobuf");
        Assert.Contains("sentencepiece.bpe.model", Assert.Throws<InvalidDataException>(() => RobertaText.FromFolder(folder.Root)).Message, StringComparison.Ordinal);
    }

    /// <summary>Words and names of the samples, what no piece spells, spaces, special tokens.</summary>
    private static Gen<string> Texts { get; } = Gen.OneOf(
        " the", "Tom", " would like", " room", " 7", "   ", " ", "...", "hahaha", "é", "你好", "😀", "x", "q", "<mask>", "</s>", " <s> ")
        .Array[0, 12].Select(string.Concat);

    private static double Score(int piece) => -4 - (piece * 0.01); // no two alike

    private static TemporaryFolder Folder()
    {
        var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.Path("sentencepiece.bpe.model"), Message(output =>
        {
            WritePiece(output, "<unk>", 0, type: 2);
            WritePiece(output, "<s>", 0, type: 3);
            WritePiece(output, "</s>", 0, type: 3);
            for (var i = 0; i < Pieces.Length; i++)
                WritePiece(output, Pieces[i], (float)Score(i), type: 1);
            Write(output, 2, Message(trainer =>
            {
                trainer.WriteTag(3, WireFormat.WireType.Varint); // model type: unigram
                trainer.WriteEnum(1);
            }));
            Write(output, 3, Message(normalizer =>
            {
                normalizer.WriteTag(1, WireFormat.WireType.LengthDelimited);
                normalizer.WriteString("identity");
            }));
        }));
        string[] special = ["<s>", "<pad>", "</s>", "<unk>"];
        folder.Write("tokenizer.json", new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = new JsonArray([.. special.Append("<mask>").Select((token, i) => (JsonNode)new JsonObject
            {
                ["id"] = i < special.Length ? i : Pieces.Length + Mask, ["content"] = token, ["single_word"] = false, ["lstrip"] = token == "<mask>", ["rstrip"] = false,
                ["normalized"] = false, ["special"] = true,
            })]),
            ["normalizer"] = null,
            ["pre_tokenizer"] = JsonNode.Parse("""{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}]}"""),
            ["post_processor"] = JsonNode.Parse("""{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"</s>","type_id":0}}],"pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":0}}],"special_tokens":{"<s>":{"id":"<s>","ids":[0],"tokens":["<s>"]},"</s>":{"id":"</s>","ids":[2],"tokens":["</s>"]}}}"""),
            ["decoder"] = JsonNode.Parse("""{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}"""),
            ["model"] = new JsonObject
            {
                ["type"] = "Unigram",
                ["unk_id"] = 3,
                ["vocab"] = new JsonArray(
                    [.. special.Select(token => (JsonNode)new JsonArray(token, 0.0)), .. Pieces.Select((piece, i) => (JsonNode)new JsonArray(piece, Score(i))), new JsonArray("<mask>", 0.0)]),
            },
        }.ToJsonString());
        return folder;
    }

    private static void WritePiece(CodedOutputStream output, string text, float score, int type) => Write(output, 1, Message(piece =>
    {
        piece.WriteTag(1, WireFormat.WireType.LengthDelimited);
        piece.WriteString(text);
        piece.WriteTag(2, WireFormat.WireType.Fixed32);
        piece.WriteFloat(score);
        piece.WriteTag(3, WireFormat.WireType.Varint);
        piece.WriteEnum(type);
    }));

    private static void Write(CodedOutputStream output, int field, byte[] message)
    {
        output.WriteTag(field, WireFormat.WireType.LengthDelimited);
        output.WriteBytes(ByteString.CopyFrom(message));
    }

    private static byte[] Message(Action<CodedOutputStream> write)
    {
        using var bytes = new MemoryStream();
        using (var output = new CodedOutputStream(bytes))
            write(output);
        return bytes.ToArray();
    }
}
