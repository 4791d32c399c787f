using RlhfFunctions.Compute;
using RlhfFunctions.Contracts;
using RlhfFunctions.Functions.Tests.EndToEnd;
using RlhfFunctions.Storage;

namespace RlhfFunctions.Functions.Tests.Compute;

/// <summary>Which tokens end a response.</summary>
public sealed class EndOfTextTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("rlhf-chat-").FullName;

    public EndOfTextTests()
    {
        foreach (string file in Directory.GetFiles(Path.Combine(Repository.Root, "samples", "models", "llama")))
            File.Copy(file, Path.Combine(_folder, Path.GetFileName(file)));
    }

    [Fact]
    public void A_chat_models_turns_end_a_response_too_unless_the_request_says_what_does()
    {
        Assert.Equal([2], Resolve(null));
        File.WriteAllText(Path.Combine(_folder, "added_tokens.json"), """{"<|im_end|>": 1279}""");
        Assert.Equal([2, 1279], Resolve(null));
        Assert.Equal([7], Resolve([7]));
        Assert.Empty(Resolve([])!);
    }

    [Fact]
    public void An_id_that_the_model_lacks_is_named()
    {
        Assert.Contains("1280", Assert.Throws<InvalidInputException>(() => Resolve([2, 1280])).Message, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
    }

    private IReadOnlyList<int>? Resolve(IReadOnlyList<int>? asked)
    {
        using var policy = LoadedPolicy.Load(_folder, TinyRun.Request("chat"));
        return policy.WithEndOfText(new GenerationSettings { EndOfTextIds = asked }).EndOfTextIds;
    }
}
