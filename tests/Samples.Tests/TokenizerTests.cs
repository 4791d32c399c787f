using System.Text.Json;
using Microsoft.ML.Tokenizers;
using RlhfFunctions.Samples.Make.Tokenizers;

namespace RlhfFunctions.Samples.Tests;

public class TokenizerTests
{
    private const string Gpt2 = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
    private static readonly byte[] Model = SampleTokenizers.Llama(Made.Data.Corpus);
    private static readonly LlamaTokenizer Llama = LlamaTokenizer.Create(new MemoryStream(Model), addBeginOfSentence: true, addEndOfSentence: false);
    private static readonly ByteLevelFiles Files = SampleTokenizers.Classifier(Made.Data.RewardSentences);

    [Fact]
    public void The_llama_tokenizer_has_specials_bytes_and_1280_pieces()
    {
        Assert.Equal(1280, Llama.Vocabulary.Count);
        Assert.Equal(["<unk>", "<s>", "</s>", "<0x00>", "<0xFF>"], new[] { 0, 1, 2, 3, 258 }.Select(id => Llama.Vocabulary.First(v => v.Value == id).Key));
        Assert.Equal(Enumerable.Range(0, 1280), Llama.Vocabulary.Values.Order());
        Assert.Equal((0, 1, 2), (Llama.UnknownId, Llama.BeginningOfSentenceId, Llama.EndOfSentenceId));
    }

    [Fact]
    public void The_llama_tokenizer_round_trips_every_text()
    {
        foreach (var row in Made.Data.Corpus)
            foreach (var text in row.Summaries.Select(s => s.Text).Prepend(row.Prompt))
            {
                var ids = Llama.EncodeToIds(text);
                Assert.Equal(1, ids[0]);
                Assert.DoesNotContain(0, ids);
                Assert.Equal(text, Llama.Decode(ids));
            }
    }

    [Theory]
    [InlineData("Ärger & Ünsinn 😀 – 100 % \"neu\"\tund\n\nzwei  Leerzeichen ")]
    [InlineData("")]
    [InlineData("日本語")]
    public void Both_tokenizers_round_trip_what_they_never_saw(string text)
    {
        Assert.Equal(text, Llama.Decode(Llama.EncodeToIds(text)));
        var bytes = ByteLevel();
        Assert.Equal(text, bytes.Decode(bytes.EncodeToIds(text)));
    }

    [Fact]
    public void Names_and_speakers_are_single_pieces_wherever_they_stand()
    {
        foreach (var name in Make.Dialogues.Grammar.Common.Names.Concat(["#Person1#", "#Person2#"]))
        {
            Assert.Equal(2, Llama.EncodeToIds(name).Count);
            Assert.Equal(Llama.EncodeToIds(name)[1], Llama.EncodeToIds($"Hi, {name}. Hello")[3]);
        }
    }

    [Fact]
    public void Prompts_and_summaries_are_short()
    {
        Assert.InRange(Made.Data.Corpus.Average(r => Llama.EncodeToIds(r.Prompt).Count), 80, 130);
        Assert.True(Made.Data.Corpus.Max(r => Llama.EncodeToIds(r.Prompt).Count + r.Summaries.Max(s => Llama.EncodeToIds(s.Text).Count)) < 320);
        Assert.InRange(Made.Data.Corpus.SelectMany(r => r.Summaries).Average(s => Llama.EncodeToIds(s.Text).Count), 14, 26);
    }

    [Fact]
    public void The_byte_level_tokenizer_has_robertas_specials_and_round_trips_every_sentence()
    {
        var ids = JsonSerializer.Deserialize<Dictionary<string, int>>(Files.VocabJson)!;
        Assert.Equal(800, ids.Count);
        Assert.Equal(Enumerable.Range(0, 800), ids.Values.Order());
        Assert.Equal((0, 1, 2, 3, 799), (ids["<s>"], ids["<pad>"], ids["</s>"], ids["<unk>"], ids["<mask>"]));
        var tokenizer = ByteLevel();
        foreach (var sentence in Made.Data.RewardSentences)
        {
            var encoded = tokenizer.EncodeToIds(sentence.Text);
            Assert.Equal(sentence.Text, tokenizer.Decode(encoded));
            Assert.DoesNotContain(ids["<unk>"], encoded);
        }
    }

    [Fact]
    public void Merges_only_make_pieces_of_the_vocabulary()
    {
        var ids = JsonSerializer.Deserialize<Dictionary<string, int>>(Files.VocabJson)!;
        var lines = Files.MergesTxt.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal("#version: 0.2", lines[0]);
        Assert.All(lines[1..], line => Assert.Contains(line.Replace(" ", "", StringComparison.Ordinal), ids));
    }

    [Fact]
    public void The_same_texts_give_the_same_bytes()
    {
        Assert.Equal(Model, SampleTokenizers.Llama([.. Made.Data.Corpus.Reverse()]));
        Assert.Equal(Files, SampleTokenizers.Classifier([.. Made.Data.RewardSentences.Reverse()]));
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

    private static BpeTokenizer ByteLevel()
    {
        var specials = new Dictionary<string, int> { ["<s>"] = 0, ["<pad>"] = 1, ["</s>"] = 2, ["<unk>"] = 3, ["<mask>"] = 799 };
        var folder = Directory.CreateTempSubdirectory();
        try
        {
            File.WriteAllText(Path.Combine(folder.FullName, "vocab.json"), Files.VocabJson);
            File.WriteAllText(Path.Combine(folder.FullName, "merges.txt"), Files.MergesTxt);
            return BpeTokenizer.Create(new BpeOptions(Path.Combine(folder.FullName, "vocab.json"), Path.Combine(folder.FullName, "merges.txt"))
            {
                ByteLevel = true,
                PreTokenizer = new RegexPreTokenizer(new(Gpt2), specials),
                SpecialTokens = specials,
            });
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
