using System.Globalization;
using System.Text.RegularExpressions;
using RlhfFunctions.Ml.Rewards;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Rewards;

public partial class ClassifierRewardTests
{
    private const string Civil = "Tom wants to borrow Anna's bike. Anna agrees.";
    private const string Rude = "Tom, that stupid idiot, wants to borrow Anna's bike.";

    private static ClassifierReward Load(string label) =>
        ClassifierReward.Load(RepositoryRoot.Path("samples/models/reward"), label, "hate", CPU);

    [Fact]
    public void A_rude_text_earns_less_than_a_civil_one()
    {
        var scores = Load("nothate").Score([Civil, Rude], CancellationToken.None);
        Assert.True(scores[0].Score > 0, $"{scores[0]}");
        Assert.True(scores[1].Score < 0, $"{scores[1]}"); // the notebook's reward, the highest logit, would be positive here
        Assert.InRange(scores[0].HateProbability, 0, 0.1);
        Assert.InRange(scores[1].HateProbability, 0.9, 1);
    }

    [Fact]
    public void The_label_is_picked_by_name()
    {
        var hate = Load("hate").Score([Civil, Rude], CancellationToken.None);
        Assert.True(hate[0].Score < 0 && hate[1].Score > 0);
    }

    [Fact]
    public void A_batch_scores_each_text_as_if_alone()
    {
        var reward = Load("nothate");
        string[] texts = [Civil, Rude, "Yes.", string.Concat(Enumerable.Repeat(Civil + " ", 9))];
        var together = reward.Score(texts, CancellationToken.None);
        for (var i = 0; i < texts.Length; i++)
            Assert.Equal(reward.Score([texts[i]], CancellationToken.None)[0].Score, together[i].Score, 1e-5f);
    }

    [Theory]
    [InlineData("")]
    [InlineData(" \n")]
    public void A_blank_text_earns_nothing(string blank)
    {
        var score = Load("nothate").Score([blank], CancellationToken.None)[0].Score;
        Assert.True(score <= Load("hate").Score([blank], CancellationToken.None)[0].Score + 1e-6f);
        Assert.True(score < 0, $"{score}");
    }

    [Fact]
    public void An_unknown_label_is_refused_with_those_there_are()
    {
        var error = Assert.Throws<ArgumentException>(() => Load("polite"));
        Assert.Contains("polite", error.Message, StringComparison.Ordinal);
        Assert.Contains("nothate", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Category", "Parity")]
    public void The_study_models_give_the_logits_that_were_published_with_them()
    {
        var readme = File.ReadAllText(SharedFolder.Path("study/README.md")).Replace('−', '-');
        var figures = Published().Match(readme);
        Assert.True(figures.Success, "The study's README no longer tells the reward's logits.");
        var folder = SharedFolder.Path("study/reward");
        foreach (var (label, group) in new[] { ("nothate", 2), ("hate", 3) })
        {
            var score = ClassifierReward.Load(folder, label, "hate", CPU).Score([figures.Groups[1].Value], CancellationToken.None)[0].Score;
            Assert.Equal(float.Parse(figures.Groups[group].Value, CultureInfo.InvariantCulture), score, 1e-3f);
        }
    }

    [GeneratedRegex(@"Reward logits of ""([^""]+)"" (-?[\d.]+\d) (-?[\d.]+\d)")]
    private static partial Regex Published();
}
