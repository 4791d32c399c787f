using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using CsCheck;
using RlhfFunctions.Ml.Text;

namespace RlhfFunctions.Ml.Tests.Text;

/// <summary>
/// tokenizer.json, made of the vocabularies at hand and the normalizers, cuts, decoders and templates of the models people have, against
/// Hugging Face's own Rust tokenizers.
/// </summary>
public sealed class TokenizerJsonTests
{
    private const string Gpt4Words =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private const string ByteLevelOnly = """{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}""";

    private const string Prepend =
        """{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}""";

    private const string Fallback =
        """{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}""";

    private const string FirstToken =
        """{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"<s>":{"id":"<s>","ids":[BOS],"tokens":["<s>"]}}}""";

    /// <summary>What decides how a text is cut and put together again, beside the vocabulary.</summary>
    private sealed record Kind(string Normalizer, string PreTokenizer, string PostProcessor, string Decoder, bool IsByteLevel, bool IgnoresMerges = false);

    private static readonly Dictionary<string, Kind> Kinds = new()
    {
        ["Llama 3"] = new("null", Split(Gpt4Words), FirstToken, ByteLevelOnly, true, IgnoresMerges: true),
        ["Qwen2"] = new("""{"type":"NFC"}""", Split(Gpt4Words.Replace("{1,3}", "", StringComparison.Ordinal)), ByteLevelOnly, ByteLevelOnly, true),
        ["SmolLM2"] = new(
            "null",
            """{"type":"Sequence","pretokenizers":[{"type":"Digits","individual_digits":true},{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}]}""",
            "null", """{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}""", true),
        ["GPT-2"] = new("null", """{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}""", "null", ByteLevelOnly, true),
        ["GPT-2 with a space in front"] = new("null", """{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}""", "null", ByteLevelOnly, true),
        ["TinyLlama"] = new(Prepend, "null", FirstToken, Fallback, false),
        ["Mistral 0.3"] = new("null", """{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}""", FirstToken, Fallback, false),
        ["Metaspace that splits"] = new("null", """{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}""", FirstToken, Fallback, false),
    };

    public static TheoryData<string> Names => [.. Kinds.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Ids_and_texts_are_those_of_the_Rust_tokenizers(string name) => Compare(name, "samples/models/reward", "samples/models/llama", texts: 1000);

    [Theory]
    [Trait("Category", "Parity")]
    [MemberData(nameof(Names))]
    public void Ids_and_texts_of_large_vocabularies_are_those_of_the_Rust_tokenizers(string name) =>
        Compare(name, SharedFolder.Path("data/roberta"), SharedFolder.Path("data/llama"), texts: 1000);

    [Fact]
    [Trait("Category", "Parity")]
    public void As_tokenizer_json_Llamas_vocabulary_gives_the_golden_ids()
    {
        using var folder = Folder(Kinds["TinyLlama"], SharedFolder.Path("data/roberta"), SharedFolder.Path("data/llama"), ["[PAD]", "<|im_start|>", "<|im_end|>"]);
        var text = LlamaText.FromFolder(folder.Root);
        using var golden = JsonDocument.Parse(File.ReadAllBytes(SharedFolder.Path("golden/tokenizers/llama_chatv03_golden.json")));
        foreach (var expected in golden.RootElement.GetProperty("cases").EnumerateArray())
        {
            var ids = expected.GetProperty("ids").Deserialize<int[]>()!;
            Assert.Equal(ids, text.Encode(expected.GetProperty("text").GetString()!));
            Assert.Equal(expected.GetProperty("decode").GetString(), text.Decode(ids, skipSpecialTokens: false));
            Assert.Equal(expected.GetProperty("decode_skip_special").GetString(), text.Decode(ids));
        }
    }

    [Theory]
    [InlineData("normalizer", """{"type":"Precompiled","precompiled_charsmap":""}""", "Precompiled")]
    [InlineData("pre_tokenizer", """{"type":"BertPreTokenizer"}""", "BertPreTokenizer")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"Regex":"a"},"behavior":"MergedWithNext","invert":false}""", "MergedWithNext")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"Regex":"\\p{Han}"},"behavior":"Isolated","invert":false}""", "Han")]
    [InlineData("decoder", """{"type":"WordPiece"}""", "WordPiece")]
    [InlineData("model", """{"type":"Unigram","vocab":[]}""", "Unigram")]
    [InlineData("model", """{"type":"BPE","vocab":{"a":0,"b":1},"merges":["a c"]}""", "tokenizer.json")]
    [InlineData("post_processor", """{"type":"TemplateProcessing","single":[{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"</s>","type_id":0}}],"special_tokens":{}}""", "end token")]
    public void What_a_file_asks_for_beyond_that_is_refused_by_name(string part, string value, string named)
    {
        using var folder = Folder(Kinds["GPT-2"], "samples/models/reward", "samples/models/llama", []);
        var path = folder.Path("tokenizer.json");
        var json = JsonNode.Parse(File.ReadAllText(path))!;
        json[part] = JsonNode.Parse(value);
        File.WriteAllText(path, json.ToJsonString());
        var message = Assert.Throws<InvalidDataException>(() => LlamaText.FromFolder(folder.Root)).Message;
        Assert.Contains(named, message, StringComparison.Ordinal);
        Assert.Contains("tokenizer.json", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_the_file_that_names_the_end_token_it_says_so()
    {
        using var folder = Folder(Kinds["GPT-2"], "samples/models/reward", "samples/models/llama", []);
        File.Delete(folder.Path("tokenizer_config.json"));
        Assert.Contains("tokenizer_config.json", Assert.Throws<InvalidDataException>(() => LlamaText.FromFolder(folder.Root)).Message, StringComparison.Ordinal);
    }

    /// <summary>Words of a hundred thousand letters: what grows with their square would take seconds each.</summary>
    [Theory]
    [InlineData("Llama 3", "a")]
    [InlineData("Llama 3", "he")]
    [InlineData("TinyLlama", "he")]
    public void Endless_words_are_encoded_in_time_and_as_their_parts_are(string name, string part)
    {
        using var folder = Folder(Kinds[name], "samples/models/reward", "samples/models/llama", []);
        var text = LlamaText.FromFolder(folder.Root);
        string Word(int length) => string.Concat(Enumerable.Repeat(part, length / part.Length));
        var clock = System.Diagnostics.Stopwatch.StartNew();
        var endless = text.Encode(Word(100_000));
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(20), $"{clock.Elapsed}");
        Assert.Equal(text.Encode(Word(900))[..^20], endless[..(text.Encode(Word(900)).Length - 20)]); // up to where the shorter one notices its end
        Assert.Equal(Word(100_000), text.Decode(endless).TrimStart());
    }

    private static void Compare(string name, string byteLevelFolder, string sentencePieceFolder, int texts)
    {
        Assert.SkipUnless(
            OperatingSystem.IsLinux() && RuntimeInformation.OSArchitecture == Architecture.X64, "Hugging Face's tokenizers are at hand for Linux on x64 only.");
        using var folder = Folder(Kinds[name], byteLevelFolder, sentencePieceFolder, ["<|im_start|>", "<|im_end|>"]);
        using var rust = new Tokenizers.DotNet.Tokenizer(folder.Path("tokenizer.json"));
        var text = LlamaText.FromFolder(folder.Root);
        Texts.Sample(
            sample =>
            {
                var expected = Array.ConvertAll(rust.Encode(sample), id => (int)id);
                Assert.Equal(expected, text.Encode(sample));
                Assert.Equal(rust.Decode(Array.ConvertAll(expected, id => (uint)id)), text.Decode(expected));
                var stream = new TextStream(text);
                Assert.Equal(text.Decode(expected), string.Concat(expected.Select(stream.Append)) + stream.End());
            },
            iter: texts,
            threads: 1);
    }

    /// <summary>Words, numbers, runs of white space, other scripts, letters and signs beyond U+FFFF, chat markers, any characters at all.</summary>
    private static Gen<string> Texts { get; } = Gen.OneOf(
        Gen.OneOf(
            " the", "Person1", "'s", "'LL", "don't", "12345", " 7", "\n", "\n\n", "\r\n", "\t", "   ", " ", "...", "Mmmmm", "hahaha", "!?", "é", "e\u0301", "a\u0323\u0302", "\u0041\u030A\u0327", "\u1112\u1161\u11AB", "\uD55C", "\u0958", "\u212B", "\u0F71\u0F72", "ﬁ", "你好", "かな",
            "😀", "👨‍👩‍👧", "𝐀𝐛", "𝟙𝟚", "𐍈", "\u00A0", "\u2028", "½", "Ⅷ", "<|im_start|>", "<|im_end|>", "<s>", "</s>", " <s> ", "▁", "#", "_", "\u200B", "ſ"),
        Gen.String[0, 3].Where(text => text.EnumerateRunes().All(rune => rune.Value != 0xFFFD))).Array[0, 12].Select(string.Concat);

    private static string Split(string pattern) =>
        $$"""{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":{{JsonSerializer.Serialize(pattern)}}},"behavior":"Isolated","invert":false},{{ByteLevelOnly}}]}""";

    /// <summary>A folder with the tokenizer.json of a kind over the sample models' vocabularies.</summary>
    internal static TemporaryFolder SampleFolder(string kind) => Folder(Kinds[kind], "samples/models/reward", "samples/models/llama", ["<|im_start|>", "<|im_end|>"]);

    /// <summary>The same as a classifier's, which has a token before every text and one behind it.</summary>
    internal static TemporaryFolder ClassifierFolder()
    {
        var folder = SampleFolder("GPT-2");
        var json = JsonNode.Parse(File.ReadAllText(folder.Path("tokenizer.json")))!;
        json["post_processor"] = new JsonObject { ["type"] = "RobertaProcessing", ["sep"] = Pair("</s>"), ["cls"] = Pair("<s>"), ["trim_offsets"] = true, ["add_prefix_space"] = false };
        folder.Write("tokenizer.json", json.ToJsonString());
        return folder;

        JsonArray Pair(string token) => new(token, json["model"]!["vocab"]![token]!.GetValue<int>());
    }

    private static TemporaryFolder Folder(Kind kind, string byteLevelFolder, string sentencePieceFolder, string[] added)
    {
        var (vocabulary, merges) = kind.IsByteLevel ? ByteLevelVocabulary(RepositoryRoot.Path(byteLevelFolder)) : SentencePieceVocabulary(RepositoryRoot.Path(sentencePieceFolder));
        string[] special = [.. new[] { "<s>", "</s>", "<unk>" }.Concat(added)];
        foreach (var token in added)
            vocabulary.TryAdd(token, vocabulary.Count);
        var json = new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = new JsonArray([.. special.OrderBy(token => vocabulary[token]).Select(token => (JsonNode)new JsonObject
            {
                ["id"] = vocabulary[token], ["content"] = token, ["single_word"] = false, ["lstrip"] = false, ["rstrip"] = false, ["normalized"] = false, ["special"] = true,
            })]),
            ["normalizer"] = JsonNode.Parse(kind.Normalizer),
            ["pre_tokenizer"] = JsonNode.Parse(kind.PreTokenizer),
            ["post_processor"] = JsonNode.Parse(kind.PostProcessor.Replace("BOS", $"{vocabulary["<s>"]}", StringComparison.Ordinal)),
            ["decoder"] = JsonNode.Parse(kind.Decoder),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["dropout"] = null,
                ["unk_token"] = kind.IsByteLevel ? null : "<unk>",
                ["continuing_subword_prefix"] = null,
                ["end_of_word_suffix"] = null,
                ["fuse_unk"] = !kind.IsByteLevel,
                ["byte_fallback"] = !kind.IsByteLevel,
                ["ignore_merges"] = kind.IgnoresMerges,
                ["vocab"] = JsonSerializer.SerializeToNode(vocabulary.Where(piece => !added.Contains(piece.Key)).OrderBy(piece => piece.Value).ToDictionary()),
                ["merges"] = new JsonArray([.. merges.Select(merge => (JsonNode)new JsonArray(merge.Left, merge.Right))]),
            },
        };
        var folder = new TemporaryFolder();
        folder.Write("tokenizer.json", json.ToJsonString());
        folder.Write("tokenizer_config.json", """{"bos_token":"<s>","eos_token":"</s>"}""");
        return folder;
    }

    private static (Dictionary<string, int>, IEnumerable<(string Left, string Right)>) ByteLevelVocabulary(string folder) => (
        JsonSerializer.Deserialize<Dictionary<string, int>>(File.ReadAllBytes(Path.Combine(folder, "vocab.json")))!,
        File.ReadLines(Path.Combine(folder, "merges.txt")).Where(line => line.Length > 0 && !line.StartsWith("#version", StringComparison.Ordinal))
            .Select(line => (line.Split(' ')[0], line.Split(' ')[1])));

    /// <summary>As transformers' converter writes it: every split of a piece is a merge, ranked by the piece's score.</summary>
    private static (Dictionary<string, int>, IEnumerable<(string Left, string Right)>) SentencePieceVocabulary(string folder)
    {
        var model = SentencePieceModel.Read(Path.Combine(folder, "tokenizer.model"));
        var merges = model.Ids.SelectMany(piece => Enumerable.Range(1, Math.Max(0, piece.Key.Length - 1))
            .Select(cut => (Left: piece.Key[..cut], Right: piece.Key[cut..], Score: model.Scores[piece.Value]))
            .Where(split => model.Ids.ContainsKey(split.Left) && model.Ids.ContainsKey(split.Right)));
        return (
            model.Ids.ToDictionary(),
            merges.OrderByDescending(split => split.Score).ThenByDescending(split => split.Left.Length).Select(split => (split.Left, split.Right)));
    }
}
