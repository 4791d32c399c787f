using RlhfFunctions.Compute;
using RlhfFunctions.Functions.Tests.EndToEnd;
using RlhfFunctions.Ml.Text;

namespace RlhfFunctions.Functions.Tests.Compute;

/// <summary>How a conversation becomes a prompt.</summary>
public sealed class ChatPromptTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("rlhf-chat-").FullName;

    public ChatPromptTests()
    {
        foreach (string file in Directory.GetFiles(Path.Combine(Repository.Root, "samples", "models", "llama")))
            File.Copy(file, Path.Combine(_folder, Path.GetFileName(file)));
    }

    [Fact]
    public void By_the_models_template_or_where_it_has_none_by_the_texts_alone()
    {
        Assert.Equal("Be kind.\nHello.", Prompt());
        File.WriteAllText(
            Path.Combine(_folder, "chat_template.jinja"),
            "{% for message in messages %}[{{ message.role }}: {{ message.content }}]{% endfor %}{% if add_generation_prompt %}[assistant:{% endif %}");
        Assert.Equal("[system: Be kind.][user: Hello.][assistant:", Prompt());
    }

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
    }

    private string Prompt()
    {
        using var policy = LoadedPolicy.Load(_folder, TinyRun.Request("chat"));
        return policy.Text.Decode(policy.EncodeChat([new ChatMessage("system", "Be kind."), new ChatMessage("user", "Hello.")])).Trim();
    }
}
