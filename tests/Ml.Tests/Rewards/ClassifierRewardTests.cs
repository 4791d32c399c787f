using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Rewards;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Rewards;

public partial class ClassifierRewardTests
{
    private const string Civil = "Laura invites #Person2# to a game of darts, but #Person2# does not play.";
    private const string Rude = "Laura, that stupid idiot, invites #Person2# to a game of darts, but #Person2# does not play.";

    private static readonly TextClassifier Sample = TextClassifier.Load(RepositoryRoot.Path("samples/models/reward"), CPU);

    [Fact]
    public void A_rude_text_earns_less_than_a_civil_one()
    {
        var scores = Score("nothate", Civil, Rude);
        Assert.True(scores[0].Score > 0, $"{scores[0]}");
        Assert.True(scores[1].Score < 0, $"{scores[1]}"); // the notebook's reward, the highest logit, would be positive here
        Assert.InRange(scores[0].LabelProbability!.Value, 0, 0.3);
        Assert.InRange(scores[1].LabelProbability!.Value, 0.9, 1);
    }

    [Fact]
    public void The_label_is_picked_by_name()
    {
        var hate = Score("hate", Civil, Rude);
        Assert.True(hate[0].Score < 0 && hate[1].Score > 0);
    }

    [Fact]
    public void Probability_and_difference_are_made_of_the_logits()
    {
        var (nothate, hate) = (Score("nothate", Rude)[0].Score, Score("hate", Rude)[0].Score);
        var probability = new ClassifierReward(Sample, "nothate", "hate", ClassifierValue.Probability);
        var difference = new ClassifierReward(Sample, "nothate", "hate", ClassifierValue.Difference);
        Assert.Equal(1 / (1 + Math.Exp(hate - nothate)), Score(probability, Rude)[0].Score, 1e-5);
        Assert.Equal(nothate - hate, Score(difference, Rude)[0].Score, 1e-5);
        Assert.Equal(Score(probability, Rude)[0].LabelProbability!.Value, 1 - Score(probability, Rude)[0].Score, 1e-5);
    }

    [Fact]
    public void A_batch_scores_each_text_as_if_alone()
    {
        string[] texts = [Civil, Rude, "Yes.", string.Concat(Enumerable.Range(0, 40).Select(i => $"{Civil} {i * i}"))];
        var together = Score("nothate", texts);
        for (var i = 0; i < texts.Length; i++)
            Assert.Equal(Score("nothate", texts[i])[0].Score, together[i].Score, 1e-5f);
    }

    [Theory]
    [InlineData("")]
    [InlineData(" \n")]
    [InlineData("...")]
    [InlineData("?! – \"…\" —")]
    [InlineData("nice nice nice nice nice nice")]
    [InlineData("Anna agrees. Anna agrees. Anna agrees. Anna agrees.")]
    public void A_broken_text_earns_the_lowest_value_whichever_label_is_rewarded(string broken)
    {
        foreach (var value in Enum.GetValues<ClassifierValue>())
        {
            var (nothate, hate) = (Score(Reward("nothate"))[0], Score(Reward("hate"))[0]);
            Assert.Equal(nothate.Score, hate.Score);
            Assert.True(nothate.Score < (value == ClassifierValue.Probability ? 0.5 : 0), $"{value}: {nothate}");

            ClassifierReward Reward(string label) => new(Sample, label, "hate", value);
            IReadOnlyList<TextScore> Score(ClassifierReward reward) => ClassifierRewardTests.Score(reward, broken);
        }
    }

    [Fact]
    public void Where_the_value_is_punished_a_broken_text_earns_the_highest()
    {
        var (praised, punished) = (new ClassifierReward(Sample, "hate"), new ClassifierReward(Sample, "hate", isPunished: true));
        Assert.True(Score(praised, "...")[0].Score < 0 && Score(punished, "...")[0].Score > 0);
        Assert.Equal(Score(praised, Rude), Score(punished, Rude));
    }

    [Fact]
    public void Of_labels_that_may_hold_together_each_has_a_probability_by_itself()
    {
        using var folder = Typed("multi_label_classification");
        using var several = TextClassifier.Load(folder.Root, CPU);
        var logit = Score("hate", Rude)[0].Score;
        var score = Score(new ClassifierReward(several, "hate", "hate", ClassifierValue.Probability), Rude)[0];
        Assert.Equal(1 / (1 + Math.Exp(-logit)), score.Score, 1e-5);
        Assert.Equal(score.Score, score.LabelProbability);
        Assert.NotEqual(new ClassifierReward(Sample, "hate", "hate").Score([PromptedResponse.Alone(Rude)], CancellationToken.None)[0].LabelProbability, score.LabelProbability);
        Assert.Equal(logit, Score(new ClassifierReward(several, "hate", value: ClassifierValue.Difference), Rude)[0].Score, 1e-5);

        foreach (var value in Enum.GetValues<ClassifierValue>()) // a broken text has the label or lacks it, whichever is worse
        {
            var (broken, whole) = (Score(new ClassifierReward(several, "hate", value: value), "...")[0].Score, value == ClassifierValue.Probability ? 0.5 : 0);
            var punished = Score(new ClassifierReward(several, "hate", value: value, isPunished: true), "...")[0].Score;
            Assert.True(broken < whole && whole < punished, $"{value}: {broken} and {punished}");
        }
    }

    [Fact]
    public void What_gives_scores_tells_no_probability()
    {
        using var folder = Typed("regression");
        using var scorer = TextClassifier.Load(folder.Root, CPU);
        Assert.False(scorer.TellsProbabilityOf("hate"));
        var score = Score(new ClassifierReward(scorer, "hate", "hate"), Rude)[0];
        Assert.Equal((Score("hate", Rude)[0].Score, null), (score.Score, score.LabelProbability));
        foreach (var value in new[] { ClassifierValue.Probability, ClassifierValue.Difference })
            Assert.Contains("scores", Assert.Throws<ArgumentException>(() => new ClassifierReward(scorer, "hate", value: value)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_prompt_counts_only_where_it_is_read()
    {
        var item = new PromptedResponse(Rude + " ", Civil, Civil);
        var alone = new ClassifierReward(Sample, "nothate", "hate");
        var both = new ClassifierReward(Sample, "nothate", "hate", reads: ClassifierText.QueryAndResponse);
        Assert.Equal(Score(alone, Civil)[0], alone.Score([item], CancellationToken.None)[0]);
        Assert.Equal(Score(alone, Rude + " " + Civil)[0], both.Score([item], CancellationToken.None)[0]);
    }

    [Fact]
    public void A_prompt_that_is_too_long_is_cut_and_the_response_is_not()
    {
        var reward = new ClassifierReward(Sample, "nothate", "hate", reads: ClassifierText.QueryAndResponse);
        var prompt = string.Concat(Enumerable.Range(0, 60).Select(i => $"{Civil} {i} ")); // far more than the 64 tokens it reads
        var score = Score(Rude);
        Assert.NotEqual(score, Score(Rude.Replace("Laura", "Helen", StringComparison.Ordinal)));
        Assert.Equal(score, reward.Score([new("Before it all. " + prompt, Rude, Rude)], CancellationToken.None)[0].Score);

        float Score(string response) => reward.Score([new(prompt, response, response)], CancellationToken.None)[0].Score;
    }

    [Fact]
    public void An_unknown_label_is_refused_with_those_there_are()
    {
        var error = Assert.Throws<ArgumentException>(() => new ClassifierReward(Sample, "polite", "hate"));
        Assert.Contains("polite", error.Message, StringComparison.Ordinal);
        Assert.Contains("nothate", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Scoring_leaves_no_tensors_behind() =>
        NoLeaks.In(() => Score(new ClassifierReward(Sample, "nothate", "hate", ClassifierValue.Difference), Civil, Rude));

    [Fact]
    [Trait("Category", "Parity")]
    public void The_study_models_give_the_logits_that_were_published_with_them()
    {
        var readme = File.ReadAllText(SharedFolder.Path("study/README.md")).Replace('−', '-');
        var figures = Published().Match(readme);
        Assert.True(figures.Success, "The study's README no longer tells the reward's logits.");
        var classifier = TextClassifier.Load(SharedFolder.Path("study/reward"), CPU);
        foreach (var (label, group) in new[] { ("nothate", 2), ("hate", 3) })
        {
            var score = Score(new ClassifierReward(classifier, label, "hate"), figures.Groups[1].Value)[0].Score;
            Assert.Equal(float.Parse(figures.Groups[group].Value, CultureInfo.InvariantCulture), score, 1e-3f);
        }
    }

    /// <summary>The sample with another type of problem in its configuration.</summary>
    private static TemporaryFolder Typed(string problem)
    {
        var folder = new TemporaryFolder();
        foreach (var file in Directory.EnumerateFiles(RepositoryRoot.Path("samples/models/reward")))
            File.Copy(file, folder.Path(Path.GetFileName(file)));
        var config = JsonNode.Parse(File.ReadAllText(folder.Path("config.json")))!;
        config["problem_type"] = problem;
        File.WriteAllText(folder.Path("config.json"), config.ToJsonString());
        return folder;
    }

    [GeneratedRegex(@"Reward logits of ""([^""]+)"" (-?[\d.]+\d) (-?[\d.]+\d)")]
    private static partial Regex Published();

    private static IReadOnlyList<TextScore> Score(string label, params string[] texts) => Score(new ClassifierReward(Sample, label, "hate"), texts);

    private static IReadOnlyList<TextScore> Score(ClassifierReward reward, params string[] texts) =>
        reward.Score(Array.ConvertAll(texts, PromptedResponse.Alone), CancellationToken.None);
}
