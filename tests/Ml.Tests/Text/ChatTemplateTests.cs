using System.Text.Json;
using System.Text.Json.Nodes;
using RlhfFunctions.Ml.Text;

namespace RlhfFunctions.Ml.Tests.Text;

/// <summary>
/// Templates built as those of the common families are, and what Jinja 3.1.6 makes of them with transformers' settings
/// (chat-templates.json): default system messages, dates, turns that must alternate, thoughts taken out, macros, white space.
/// </summary>
public sealed class ChatTemplateTests
{
    private static readonly JsonElement[] Golden = JsonDocument.Parse(
        File.ReadAllBytes(RepositoryRoot.Path("tests/Ml.Tests/Text/chat-templates.json"))).RootElement.Clone().EnumerateArray().ToArray();

    public static TheoryData<string> Names => [.. Golden.Select(golden => golden.GetProperty("name").GetString()!)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Conversations_read_as_Jinja_writes_them(string name)
    {
        var golden = Golden.Single(one => one.GetProperty("name").GetString() == name);
        using var folder = Folder(golden.GetProperty("template").GetString()!);
        var template = ChatTemplate.FromFolder(folder.Root)!;
        foreach (var rendered in golden.GetProperty("rendered").EnumerateArray())
        {
            ChatMessage[] messages = [.. rendered.GetProperty("messages").EnumerateArray()
                .Select(message => new ChatMessage(message.GetProperty("role").GetString()!, message.GetProperty("content").GetString()!))];
            var opens = rendered.GetProperty("addGenerationPrompt").GetBoolean();
            if (rendered.TryGetProperty("error", out var error))
                Assert.Contains(error.GetString()!, Assert.Throws<InvalidDataException>(() => template.Render(messages, opens)).Message, StringComparison.Ordinal);
            else
                Assert.Equal(rendered.GetProperty("text").GetString(), template.Render(messages, opens));
        }
    }

    [Fact]
    public void A_file_of_its_own_comes_before_the_configuration_and_of_several_templates_the_default()
    {
        using var folder = Folder("one");
        Assert.Equal("one", ChatTemplate.FromFolder(folder.Root)!.Source);
        folder.Write("tokenizer_config.json", """{"chat_template":[{"name":"rag","template":"two"},{"name":"default","template":"three"}]}""");
        Assert.Equal("three", ChatTemplate.FromFolder(folder.Root)!.Source);
        folder.Write("chat_template.jinja", "four");
        Assert.Equal("four", ChatTemplate.FromFolder(folder.Root)!.Source);
    }

    [Fact]
    public void A_model_may_have_none() => Assert.Null(ChatTemplate.FromFolder(RepositoryRoot.Path("samples/models/llama")));

    [Theory]
    [InlineData("{% for m in messages %}", "ends too early")]
    [InlineData("{{ messages | dictsort }}", "dictsort")]
    [InlineData("{% include 'x' %}", "include")]
    [InlineData("{{ a is callable }}", "callable")]
    [InlineData("line\n{{ 'open }}", "line 2")]
    [InlineData("{{ a", "not closed")]
    [InlineData("{# a", "not closed")]
    public void What_is_broken_or_not_supported_is_named_at_once(string source, string named)
    {
        using var folder = Folder(source);
        var message = Assert.Throws<InvalidDataException>(() => ChatTemplate.FromFolder(folder.Root)).Message;
        Assert.Contains(named, message, StringComparison.Ordinal);
        Assert.Contains("tokenizer_config.json", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{{ nobody.name }}")]
    [InlineData("{{ messages.append(1) }}")]
    [InlineData("{{ 'a' + 1 }}")]
    [InlineData("{{ strftime_now('%Y') }}")]
    [InlineData("{{ 'a' | replace }}")]
    [InlineData("{{ 1 % 0 }}")]
    [InlineData("{{ range(1000000000) }}")]
    [InlineData("{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}")]
    public void What_has_no_value_is_said_when_it_is_filled_in(string source)
    {
        using var folder = Folder(source);
        var template = ChatTemplate.FromFolder(folder.Root)!;
        Assert.Contains("cannot be filled in", Assert.Throws<InvalidDataException>(() => template.Render([new("user", "Hi")])).Message, StringComparison.Ordinal);
    }

    private static TemporaryFolder Folder(string template)
    {
        var folder = new TemporaryFolder();
        folder.Write("tokenizer_config.json", new JsonObject { ["chat_template"] = template, ["bos_token"] = "<s>", ["eos_token"] = "</s>" }.ToJsonString());
        return folder;
    }
}
