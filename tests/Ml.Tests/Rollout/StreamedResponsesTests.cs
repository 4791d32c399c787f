using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Rollout;
using RlhfFunctions.Ml.Tests.Policy;
using RlhfFunctions.Ml.Text;

namespace RlhfFunctions.Ml.Tests.Rollout;

public class StreamedResponsesTests
{
    [Fact]
    public void The_streamed_text_of_each_response_is_its_decoded_text()
    {
        var folder = RepositoryRoot.Path("samples/models/llama");
        using var model = LlamaForCausalLm.Load(folder);
        var text = LlamaText.FromFolder(folder);
        var prompts = new[] { "Hello", "#Person1#: The train is late.", "😀" }.Select(prompt => text.Encode(prompt)).ToArray();
        var settings = new GenerationSettings { MaxNewTokens = 12, Temperature = 1.5 };
        var told = new List<string>[] { [], [], [] };

        var responses = StreamedResponses.Sample(
            model, text, prompts, TinyPolicy.Keys(3), settings, (row, piece) => told[row].Add(piece), CancellationToken.None);

        Assert.Equal(BatchGenerator.Sample(model, prompts, TinyPolicy.Keys(3), settings, CancellationToken.None), responses);
        Assert.Equal(responses.Select(response => text.Decode(response)), told.Select(pieces => string.Concat(pieces)));
        Assert.All(told, pieces => Assert.True(pieces.Count > 2 && pieces.All(piece => piece.Length > 0)));
    }
}
