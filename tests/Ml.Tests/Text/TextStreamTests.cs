using CsCheck;
using RlhfFunctions.Ml.Text;

namespace RlhfFunctions.Ml.Tests.Text;

public class TextStreamTests
{
    private static readonly LlamaText Sample = LlamaText.FromFolder(RepositoryRoot.Path("samples/models/llama"));

    [Fact]
    public void The_pieces_joined_are_the_text_and_none_splits_a_character() =>
        // Any ids, bytes that are no UTF-8 and special tokens among them, as well as those of real texts.
        Gen.OneOf(Gen.Int[0, Sample.VocabularySize - 1].Array[0, 40], Gen.String.Select(text => Sample.Encode(text))).Sample(ids =>
        {
            var stream = new TextStream(Sample);
            string[] pieces = [.. ids.Select(stream.Append), stream.End()];
            Assert.Equal(Sample.Decode(ids), string.Concat(pieces));
            Assert.All(pieces, piece => Assert.True(piece.Length == 0 || !(char.IsLowSurrogate(piece[0]) || char.IsHighSurrogate(piece[^1]))));
        });

    [Fact]
    public void Words_come_with_their_space_and_as_soon_as_they_are_sure()
    {
        var stream = new TextStream(Sample);
        var ids = Sample.Encode("Tom is late", addBos: false);
        var pieces = ids.Select(stream.Append).ToArray();
        Assert.Equal("Tom is late", string.Concat(pieces)); // nothing waits for the end
        Assert.Equal(Sample.Decode(ids[..1]), pieces[0]);
        Assert.Contains(pieces, piece => piece.StartsWith(' '));
    }

    [Fact]
    public void A_character_spelt_in_bytes_waits_for_all_of_them()
    {
        var stream = new TextStream(Sample);
        var ids = Sample.Encode("😀", addBos: false)[^4..];
        Assert.All(ids, id => Assert.Equal("", stream.Append(id)));
        Assert.Equal("😀", stream.End());
    }
}
