using System.Text;
using CsCheck;
using Microsoft.ML.Tokenizers;
using RlhfFunctions.Ml.Text;

namespace RlhfFunctions.Ml.Tests.Text;

/// <summary>Which texts may go through Microsoft's tokenizer, and which take our own merging.</summary>
public class BytePairMergesTests
{
    private static string SampleFolder => RepositoryRoot.Path("samples/models/llama");

    private static string LlamaFolder => SharedFolder.Path("data/llama");

    [Fact]
    public void Without_ties_the_library_merges_as_we_do() => LibraryEqualsMergesWithoutTies(SampleFolder);

    [Fact]
    [Trait("Category", "Parity")]
    public void Without_ties_the_library_merges_Llamas_vocabulary_as_we_do() => LibraryEqualsMergesWithoutTies(LlamaFolder);

    [Fact]
    public void Every_text_is_encoded_as_by_our_own_merges() => EncodingEqualsMerges(SampleFolder);

    [Fact]
    [Trait("Category", "Parity")]
    public void Every_text_is_encoded_as_by_our_own_merges_of_Llamas_vocabulary() => EncodingEqualsMerges(LlamaFolder);

    [Theory]
    [Trait("Category", "Parity")]
    [InlineData("Mmmm", true)]
    [InlineData("noooo", true)]
    [InlineData(".....", true)]
    [InlineData("                    .", true)]
    [InlineData("hahaha", false)]
    [InlineData("banana", false)]
    public void Repetitions_take_our_own_merges(string text, bool libraryDiffers)
    {
        var (_, merges, library) = Load(LlamaFolder);
        var segment = Segment(text);
        Assert.True(merges.CanTie(segment));
        Assert.Equal(libraryDiffers, !Merged(merges, segment).SequenceEqual(ByLibrary(library, segment)));
        Assert.Equal(Merged(merges, segment), LlamaText.FromFolder(LlamaFolder).Encode(text, addBos: false));
    }

    [Theory]
    [Trait("Category", "Parity")]
    [InlineData("#Person1#: Hello, that was very good.")]
    [InlineData("no no no")] // no piece ends in the "▁no" that another begins with
    [InlineData("😀😀😀")] // bytes never merge
    public void Other_texts_take_the_library(string text) => Assert.False(Load(LlamaFolder).Merges.CanTie(Segment(text)));

    private static void LibraryEqualsMergesWithoutTies(string folder)
    {
        var (model, merges, library) = Load(folder);
        Texts(model).Select(Segment).Where(segment => !merges.CanTie(segment))
            .Sample(segment => Merged(merges, segment).SequenceEqual(ByLibrary(library, segment)), iter: 20_000);
    }

    private static void EncodingEqualsMerges(string folder)
    {
        var (model, merges, _) = Load(folder);
        var text = LlamaText.FromFolder(folder);
        // A stretch that spells an added token would be cut there.
        Texts(model).Where(plain => plain.Length > 0 && !plain.Contains('<'))
            .Sample(plain => text.Encode(plain, addBos: false).SequenceEqual(Merged(merges, Segment(plain))), iter: 20_000);
    }

    /// <summary>Pieces, letters of words like "banana" and any characters at all, the first of them up to five times in a row.</summary>
    private static Gen<string> Texts(SentencePieceModel model)
    {
        var part = Gen.OneOf(
            Gen.OneOf(model.Texts.Skip(3 + 256).ToArray()), Gen.Char["aehimnost .!-"].Array[1, 4].Select(letters => new string(letters)), Gen.String[0, 3]);
        var parts = part.Array[0, 3].Select(string.Concat);
        return Gen.Select(parts, parts, Gen.Int[1, 5], parts)
            .Select((before, repeated, times, after) => before + string.Concat(Enumerable.Repeat(repeated, times)) + after);
    }

    private static (SentencePieceModel Model, BytePairMerges Merges, LlamaTokenizer Library) Load(string folder)
    {
        var path = Path.Combine(folder, "tokenizer.model");
        var model = SentencePieceModel.Read(path);
        using var file = File.OpenRead(path);
        return (model, new BytePairMerges(model), LlamaTokenizer.Create(file, addBeginOfSentence: false, addEndOfSentence: false));
    }

    /// <summary>A text as the sub-word models see it.</summary>
    private static string Segment(string text) => "▁" + Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)).Replace(' ', '▁');

    private static List<int> Merged(BytePairMerges merges, string segment)
    {
        var ids = new List<int>();
        merges.Apply(segment, ids);
        return ids;
    }

    private static IReadOnlyList<int> ByLibrary(LlamaTokenizer library, string segment) =>
        library.EncodeToIds(segment, considerPreTokenization: false, considerNormalization: false);
}
