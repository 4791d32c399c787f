using System.Text.Json;
using CsCheck;
using RlhfFunctions.Ml.Text;

namespace RlhfFunctions.Ml.Tests.Text;

public class RobertaTextTests
{
    private const string SampleFolder = "samples/models/reward";

    private static readonly RobertaText Sample = RobertaText.FromFolder(RepositoryRoot.Path(SampleFolder));

    [Theory]
    [InlineData("samples/models/reward")]
    [InlineData("samples/models/judge")]
    public void Sample_models_keep_their_special_tokens_where_their_vocabulary_says(string folder)
    {
        using var vocabulary = JsonDocument.Parse(File.ReadAllBytes(RepositoryRoot.Path($"{folder}/vocab.json")));
        using var config = JsonDocument.Parse(File.ReadAllBytes(RepositoryRoot.Path($"{folder}/tokenizer_config.json")));
        var text = RobertaText.FromFolder(RepositoryRoot.Path(folder));
        Assert.Equal([Id("<s>"), Id("</s>")], text.Encode(""));
        Assert.Equal([Id("<s>"), Id("<mask>"), Id("<unk>"), Id("</s>")], text.Encode("  <mask><unk>")); // the mask takes the spaces on its left
        Assert.Equal(Id("<pad>"), text.PadId);
        Assert.Equal(config.RootElement.GetProperty("model_max_length").GetInt32(), text.MaxLength);

        int Id(string token) => vocabulary.RootElement.GetProperty(token).GetInt32();
    }

    [Fact]
    public void A_long_text_loses_its_end_and_keeps_the_closing_token()
    {
        var all = Sample.Encode("Tom wants to borrow a bike.", maxLength: 100);
        Assert.Equal([.. all[..4], all[^1]], Sample.Encode("Tom wants to borrow a bike.", maxLength: 5));
        Assert.Equal([all[0], all[^1]], Sample.Encode("Tom wants to borrow a bike.", maxLength: 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => Sample.Encode("Tom", maxLength: 1));
    }

    [Fact]
    public void The_files_limit_holds_unless_another_is_given()
    {
        var text = string.Concat(Enumerable.Repeat("bike ", 200));
        Assert.Equal(Sample.MaxLength, Sample.Encode(text).Length);
        Assert.Equal(Sample.MaxLength, Sample.EncodePair(text, "bike").Length);
    }

    [Fact]
    public void A_response_is_never_cut_for_its_prompt() =>
        Gen.Select(Words, Words, Gen.Int[2, 40]).Sample((prompt, response, maxLength) =>
        {
            var ids = Sample.EncodePair(prompt, response, maxLength);
            Assert.True(ids.Length <= maxLength);
            Assert.Equal(Sample.Encode(""), new[] { ids[0], ids[^1] });
            var joined = Sample.Encode(prompt + response, int.MaxValue);
            if (joined.Length <= maxLength)
                Assert.Equal(joined, ids);
            else
                Assert.Equal(Sample.Encode(response, maxLength)[1..], ids[^(Sample.Encode(response, maxLength).Length - 1)..]);
        });

    [Fact]
    public void A_tokenizer_json_alone_gives_the_same_ids()
    {
        using var folder = TokenizerJsonTests.ClassifierFolder();
        var text = RobertaText.FromFolder(folder.Root);
        Assert.Equal(Sample.PadId, text.PadId);
        Gen.Select(Words, Gen.Int[2, 40]).Sample((words, maxLength) => Assert.Equal(Sample.Encode(words, maxLength), text.Encode(words, maxLength)));
    }

    [Fact]
    public void A_language_models_tokenizer_json_is_refused()
    {
        using var folder = TokenizerJsonTests.SampleFolder("Qwen2");
        Assert.Contains("RoBERTa", Assert.Throws<InvalidDataException>(() => RobertaText.FromFolder(folder.Root)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_and_foreign_files_are_named()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("vocab.json is missing", Failure(), StringComparison.Ordinal);
        File.WriteAllText(folder.Path("vocab.json"), """{"a": 0}""");
        Assert.Contains("merges.txt is missing", Failure(), StringComparison.Ordinal);
        File.WriteAllText(folder.Path("merges.txt"), "#version: 0.2\n");
        Assert.Contains("bos_token \"<s>\"", Failure(), StringComparison.Ordinal);
        File.WriteAllText(folder.Path("vocab.json"), "[]");
        Assert.Contains("vocab.json is no JSON object", Failure(), StringComparison.Ordinal);
        File.Copy(RepositoryRoot.Path($"{SampleFolder}/vocab.json"), folder.Path("vocab.json"), overwrite: true);
        File.WriteAllText(folder.Path("merges.txt"), "#version: 0.2\nx y z\nqq ww\n");
        Assert.Contains("merges.txt", Failure(), StringComparison.Ordinal);

        string Failure() => Assert.Throws<InvalidDataException>(() => RobertaText.FromFolder(folder.Root)).Message;
    }

    private static readonly Gen<string> Words = Gen.OneOf("Tom", " bike", " stupid", "\n", "!", " </s>").Array[0, 30].Select(string.Concat);
}
