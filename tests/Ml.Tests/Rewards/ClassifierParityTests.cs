using System.Text.Json;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Rewards;
using RlhfFunctions.Ml.Tests.Text;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Rewards;

/// <summary>Scores against the logits that transformers' pipeline gave for the same texts (golden/hf/roberta/text).</summary>
[Trait("Category", "Parity")]
public class ClassifierParityTests
{
    private const string EndOfPrompt = "\n\nSummary:\n";

    [Fact]
    public void Responses_alone_earn_transformers_logits()
    {
        using var folder = Classifier();
        var classifier = TextClassifier.Load(folder.Root, CPU);
        var texts = Texts().Where(text => !BrokenText.Is(text.GetProperty("text").GetString()!)).ToArray();
        Assert.True(texts.Length > 20, $"only {texts.Length} texts");
        foreach (var label in new[] { "nothate", "hate" })
        {
            var scores = new ClassifierReward(classifier, label, "hate").Score(
                [.. texts.Select(text => PromptedResponse.Alone(text.GetProperty("text").GetString()!))], CancellationToken.None);
            for (var i = 0; i < texts.Length; i++)
                Assert.Equal(texts[i].GetProperty(label).GetDouble(), scores[i].Score, 1e-5);
        }
    }

    /// <summary>The whole way of the notebook's text: prompt → Llama's ids → text, and the response behind it.</summary>
    [Fact]
    public void Query_and_response_earn_what_the_notebooks_text_earns()
    {
        using var folder = Classifier();
        var text = Texts().Single(text => text.GetProperty("text").GetString()!.StartsWith("<s>", StringComparison.Ordinal));
        var (whole, tokenizer) = (text.GetProperty("text").GetString()!, TokenizerFolders.TinyLlamaChat());
        var end = whole.IndexOf(EndOfPrompt, StringComparison.Ordinal) + EndOfPrompt.Length;
        var prompt = tokenizer.Decode(tokenizer.Encode(whole["<s> ".Length..end]), skipSpecialTokens: false);
        Assert.Equal(whole[..end], prompt);

        var response = new PromptedResponse(prompt, whole[end..^"</s>".Length], whole[end..]);
        Assert.EndsWith("</s>", response.ResponseVerbatim, StringComparison.Ordinal);
        var reward = new ClassifierReward(
            TextClassifier.Load(folder.Root, CPU), "nothate", "hate", ClassifierValue.Logit, ClassifierText.QueryAndResponse);
        Assert.Equal(text.GetProperty("nothate").GetDouble(), reward.Score([response], CancellationToken.None)[0].Score, 1e-5);
    }

    private static JsonElement[] Texts() =>
        [.. JsonDocument.Parse(File.ReadAllText(SharedFolder.Path("golden/hf/roberta/text/golden.json"))).RootElement.GetProperty("texts").EnumerateArray()];

    private static TemporaryFolder Classifier()
    {
        string[] files = ["golden/hf/roberta/text/config.json", "golden/hf/roberta/text/model.safetensors", "data/roberta/vocab.json", "data/roberta/merges.txt"];
        var paths = Array.ConvertAll(files, SharedFolder.Path); // skips before the folder is made
        var folder = new TemporaryFolder();
        foreach (var path in paths)
            File.Copy(path, folder.Path(Path.GetFileName(path)));
        return folder;
    }
}
