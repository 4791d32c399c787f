using System.Text.Json;
using Microsoft.ML.Tokenizers;
using RlhfFunctions.Ml.Text;
using RlhfFunctions.Samples.Make.Dialogues;
using RlhfFunctions.Samples.Make.Tokenizers;

namespace RlhfFunctions.Samples.Tests;

/// <summary>The tokenizers as the product's own loaders and Microsoft's library read them.</summary>
public sealed class TokenizerTests(TokenizerTests.Folders folders) : IClassFixture<TokenizerTests.Folders>
{
    public sealed class Folders : IDisposable
    {
        private readonly DirectoryInfo _root = Directory.CreateTempSubdirectory();

        public Folders()
        {
            Llama = _root.CreateSubdirectory("llama").FullName;
            Reward = _root.CreateSubdirectory("reward").FullName;
            SampleTokenizers.WriteLlama(Llama, Made.Data.Corpus);
            SampleTokenizers.WriteClassifier(Reward, Made.Data.RewardSentences);
        }

        public string Llama { get; }

        public string Reward { get; }

        public void Dispose() => _root.Delete(recursive: true);
    }

    [Fact]
    public void The_llama_tokenizer_has_specials_bytes_and_1280_pieces()
    {
        using var model = File.OpenRead(Path.Combine(folders.Llama, "tokenizer.model"));
        var library = LlamaTokenizer.Create(model, addBeginOfSentence: true, addEndOfSentence: false);
        Assert.Equal((0, 1, 2), (library.UnknownId, library.BeginningOfSentenceId, library.EndOfSentenceId));
        Assert.Equal(Enumerable.Range(0, 1280), library.Vocabulary.Values.Order());
        Assert.Equal(["<0x00>", "<0x0A>", "<0xFF>"], new[] { 3, 13, 258 }.Select(id => library.Vocabulary.First(v => v.Value == id).Key));

        var own = LlamaText.FromFolder(folders.Llama);
        Assert.Equal((1, 2, 2, 1280), (own.BosId, own.EosId, own.PadId, own.VocabularySize));
        Assert.All(Made.Data.Corpus.Take(100), row => Assert.Equal(own.Encode(row.Prompt), library.EncodeToIds(row.Prompt)));
    }

    [Fact]
    public void The_llama_tokenizer_round_trips_every_text()
    {
        var tokenizer = LlamaText.FromFolder(folders.Llama);
        foreach (var row in Made.Data.Corpus)
            foreach (var text in row.Summaries.Select(s => s.Text).Prepend(row.Prompt))
            {
                var ids = tokenizer.Encode(text);
                Assert.DoesNotContain(0, ids);
                Assert.Equal(text, tokenizer.Decode(ids));
            }
    }

    [Theory]
    [InlineData("Ärger & Ünsinn 😀 – 100 % \"neu\"\tund\n\nzwei  Leerzeichen ")]
    [InlineData("")]
    [InlineData("日本語")]
    public void Both_tokenizers_round_trip_what_they_never_saw(string text)
    {
        var llama = LlamaText.FromFolder(folders.Llama);
        Assert.Equal(text, llama.Decode(llama.Encode(text)));
        var bytes = ByteLevel();
        Assert.Equal(text, bytes.Decode(bytes.EncodeToIds(text)));
    }

    [Fact]
    public void Names_and_speakers_are_single_pieces_wherever_they_stand()
    {
        // A model of a million parameters has to copy them: one piece is one step.
        var tokenizer = LlamaText.FromFolder(folders.Llama);
        foreach (var name in Grammar.Common.Names.Concat(["#Person1#", "#Person2#"]))
        {
            var id = Assert.Single(tokenizer.Encode(name, addBos: false));
            Assert.Contains(id, tokenizer.Encode($"Hi, {name}. Hello"));
            Assert.Contains(id, tokenizer.Encode($"Say it to {name}!"));
        }
    }

    [Fact]
    public void Prompts_and_summaries_are_short()
    {
        var tokenizer = LlamaText.FromFolder(folders.Llama);
        var prompts = Made.Data.Corpus.Select(r => tokenizer.Encode(r.Prompt).Length).ToList();
        var summaries = Made.Data.Corpus.SelectMany(r => r.Summaries).Select(s => tokenizer.Encode(s.Text).Length).ToList();
        Assert.InRange(prompts.Average(), 80, 130);
        Assert.InRange(summaries.Average(), 14, 26);
        Assert.True(prompts.Max() + summaries.Max() < 320);
    }

    [Fact]
    public void The_byte_level_tokenizer_has_robertas_specials_and_round_trips_every_sentence()
    {
        var ids = Vocabulary();
        Assert.Equal(Enumerable.Range(0, 800), ids.Values.Order());
        Assert.Equal((0, 1, 2, 3, 799), (ids["<s>"], ids["<pad>"], ids["</s>"], ids["<unk>"], ids["<mask>"]));
        var library = ByteLevel();
        var own = RobertaText.FromFolder(folders.Reward);
        Assert.Equal((1, 64), (own.PadId, own.MaxLength));
        foreach (var sentence in Made.Data.RewardSentences)
        {
            var encoded = library.EncodeToIds(sentence.Text);
            Assert.Equal(sentence.Text, library.Decode(encoded));
            Assert.DoesNotContain(ids["<unk>"], encoded);
            Assert.Equal([0, .. encoded.Take(62), 2], own.Encode(sentence.Text));
        }
    }

    [Fact]
    public void Merges_only_make_pieces_of_the_vocabulary()
    {
        var ids = Vocabulary();
        var lines = File.ReadAllText(Path.Combine(folders.Reward, "merges.txt")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("#version: 0.2", lines[0]);
        Assert.Equal(800 - 4 - 256 - 1, lines.Length - 1);
        Assert.All(lines[1..], line => Assert.Contains(line.Replace(" ", "", StringComparison.Ordinal), ids));
    }

    [Fact]
    public void The_same_texts_give_the_same_bytes_in_whatever_order()
    {
        var texts = Made.Data.RewardSentences.Select(s => s.Text).ToList();
        Assert.Equal(SentencePieceTrainer.Train(texts, 700), SentencePieceTrainer.Train(texts.AsEnumerable().Reverse(), 700));
        Assert.Equal(ByteLevelTrainer.Train(texts, 700), ByteLevelTrainer.Train(texts.AsEnumerable().Reverse(), 700));
    }

    [Fact]
    public void Too_little_text_for_the_vocabulary_is_an_error_that_says_so()
    {
        var error = Assert.Throws<InvalidOperationException>(() => ByteLevelTrainer.Train(["a few words"], 800));
        Assert.Contains("smaller vocabulary", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Merges_are_the_most_frequent_neighbours_worked_by_hand()
    {
        // "abab" ×2, "ab" ×1, "bc" ×3: ab occurs 5 times, bc 3; then abab twice.
        var merges = PairMerger.Learn([(Letters("abab"), 2), (Letters("ab"), 1), (Letters("bc"), 3)], pieces: 9);
        Assert.Equal([new("a", "b"), new("b", "c"), new("ab", "ab")], merges);

        // Runs of one letter are joined from the left, and the overlapping pair is not counted as gone.
        Assert.Equal([new("a", "a"), new("aa", "a")], PairMerger.Learn([(Letters("aaa"), 2)], pieces: 9));

        static IReadOnlyList<string> Letters(string word) => [.. word.Select(c => c.ToString())];
    }

    private Dictionary<string, int> Vocabulary() =>
        JsonSerializer.Deserialize<Dictionary<string, int>>(File.ReadAllText(Path.Combine(folders.Reward, "vocab.json")))!;

    private BpeTokenizer ByteLevel() =>
        BpeTokenizer.Create(new BpeOptions(Path.Combine(folders.Reward, "vocab.json"), Path.Combine(folders.Reward, "merges.txt"))
        {
            ByteLevel = true,
            PreTokenizer = new RegexPreTokenizer(new(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"), null),
        });
}
