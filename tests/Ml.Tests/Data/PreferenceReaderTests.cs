using System.Text;
using RlhfFunctions.Ml.Data;
using RlhfFunctions.Ml.Text;

namespace RlhfFunctions.Ml.Tests.Data;

public sealed class PreferenceReaderTests
{
    [Fact]
    public void Texts_and_conversations_with_and_without_a_prompt_are_read()
    {
        var rows = Read(
            """{"prompt": "Q", "chosen": "yes", "rejected": "no", "margin": 2}""",
            "",
            """{"prompt": [{"role": "user", "content": "Q"}], "chosen": [{"role": "assistant", "content": "yes"}], "rejected": [{"role": "assistant", "content": "no"}]}""",
            """{"chosen": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "yes"}], "rejected": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "no"}]}""");
        Assert.Equal(new("pairs_1", "Q", "yes", "no"), rows[0]);
        Assert.Equal(new("pairs_2", "<user>Q</user><assistant>", "yes</assistant>", "no</assistant>") { IsChat = true }, rows[1]);
        Assert.Equal(rows[1] with { Id = "pairs_3" }, rows[2]);
    }

    [Fact]
    public void Only_the_first_rows_are_looked_at() => Assert.Single(PreferenceReader.Read(
        Stream("""{"prompt": "Q", "chosen": "yes", "rejected": "no"}""", "not looked at"), "pairs.jsonl", 1));

    [Theory]
    [InlineData("""{"prompt": "Q", "chosen": "yes"}""", "has no rejected")]
    [InlineData("""{"chosen": "yes", "rejected": "no"}""", "has no prompt")]
    [InlineData("""{"prompt": "Q", "chosen": "same", "rejected": "same"}""", "itself")]
    [InlineData("""{"prompt": "Q", "chosen": [{"role": "assistant", "content": "yes"}], "rejected": "no"}""", "mixes")]
    [InlineData("""{"chosen": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "yes"}], "rejected": [{"role": "assistant", "content": "no"}]}""", "one different turn")]
    [InlineData("""{"prompt": [{"content": "Q"}], "chosen": [], "rejected": []}""", "without role or content")]
    [InlineData("""["prompt"]""", "not a JSON object")]
    [InlineData("{", "is not JSON")]
    public void A_broken_row_is_refused_with_its_place(string row, string why)
    {
        var error = Assert.Throws<InvalidDataException>(() => Read("""{"prompt": "Q", "chosen": "yes", "rejected": "no"}""", row));
        Assert.Contains("pairs.jsonl: row 2 (line 2)", error.Message, StringComparison.Ordinal);
        Assert.Contains(why, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_empty_file_is_refused() => Assert.Throws<InvalidDataException>(() => Read(""));

    [Fact]
    public void A_conversation_needs_the_models_chat_template()
    {
        var error = Assert.Throws<InvalidDataException>(() => PreferenceReader.Read(
            Stream("""{"prompt": [{"role": "user", "content": "Q"}], "chosen": [{"role": "assistant", "content": "a"}], "rejected": [{"role": "assistant", "content": "b"}]}"""),
            "pairs.jsonl", 1));
        Assert.Contains("no chat template", error.Message, StringComparison.Ordinal);
    }

    private static IReadOnlyList<PreferenceRow> Read(params string[] lines)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(
            Path.Combine(folder.Root, "chat_template.jinja"),
            "{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}");
        return PreferenceReader.Read(Stream(lines), "pairs.jsonl", int.MaxValue, ChatTemplate.FromFolder(folder.Root));
    }

    private static MemoryStream Stream(params string[] lines) => new(Encoding.UTF8.GetBytes(string.Join('\n', lines)));
}
