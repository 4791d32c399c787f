using RlhfFunctions.Contracts;
using RlhfFunctions.Ml.Artifacts;
using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Preferences;
using RlhfFunctions.Ml.Rewards;
using static TorchSharp.torch;

namespace RlhfFunctions.Ml.Tests.Preferences;

public class RewardTrainingTests
{
    private static readonly string Policy = RepositoryRoot.Path("samples/models/llama");

    private static readonly RewardTrainingSettings Short = new() { BatchSize = 2, LearningRate = 1e-2, Lora = new() { Rank = 2 } };

    /// <summary>Civil beats rude, in words that the policy knows.</summary>
    private static readonly (string Better, string Worse)[] Examples =
    [
        .. from name in (string[])["Ivy", "Tom", "Eva", "Wendy"]
           from words in ((string, string)[])[("kind", "stupid"), ("calm", "pathetic"), ("polite", "useless")]
           select ($"{name} plays golf. {name} sounds {words.Item1}.", $"{name} plays golf. {name} sounds {words.Item2}."),
    ];

    [Fact]
    [Trait("Category", "Parity")]
    public void Steps_give_trls_losses_scores_and_weights()
    {
        using var scope = NewDisposeScope();
        var golden = GoldenJson.Read("golden/beyond-ppo/golden.json").GetProperty("reward");
        var model = RobertaForSequenceClassification.Load(SharedFolder.Path("golden/beyond-ppo/reward-base"));
        foreach (var parameter in model.parameters())
            parameter.requires_grad = true;
        using var reward = new RobertaPreferenceModel(model, text: null);
        var (chosen, rejected) = (golden.GetProperty("chosen").IntegerRows(), golden.GetProperty("rejected").IntegerRows());
        var steps = golden.GetProperty("steps").EnumerateArray().ToArray();
        var settings = new RewardTrainingSettings
        {
            Epochs = steps.Length,
            BatchSize = chosen.Length,
            LearningRate = golden.GetProperty("learning_rate").GetDouble(),
            FinalLearningRateShare = 1,
            WarmupSteps = 0,
            CenteringCoefficient = golden.GetProperty("center_rewards_coefficient").GetDouble(),
            MaxGradientNorm = null,
        };
        using var training = RewardTraining.Start(
            reward, settings, [.. chosen.Zip(rejected, (better, worse) => new Comparison($"{better[1]} {worse[1]}", better, worse, FirstWins: 1))], seed: 0);
        foreach (var step in steps)
        {
            using (no_grad())
            {
                GoldenJson.Close(step.GetProperty("chosen").Tensor(), reward.Scores(chosen), 1e-5, $"chosen, step {training.Step + 1}");
                GoldenJson.Close(step.GetProperty("rejected").Tensor(), reward.Scores(rejected), 1e-5, $"rejected, step {training.Step + 1}");
            }
            var done = training.Next();
            GoldenJson.Close(step.GetProperty("loss").GetDouble(), done.Loss, 1e-5, $"loss, step {training.Step}");
            Assert.Equal(step.GetProperty("accuracy").GetDouble(), done.Accuracy);
        }
        Assert.True(training.IsDone);

        using var after = SafetensorsFile.Open(SharedFolder.Path("golden/beyond-ppo/tensors.safetensors"));
        var prefix = $"reward.after{steps.Length}.";
        var names = after.Entries.Keys.Where(name => name.StartsWith(prefix, StringComparison.Ordinal)).ToArray();
        Assert.NotEmpty(names);
        var parameters = reward.Parameters.ToDictionary();
        foreach (var name in names)
            GoldenJson.Close(after.Load(name), parameters[name[prefix.Length..]], 1e-5, name);
    }

    [Fact]
    public void A_llama_learns_to_tell_apart_and_scores_the_same_as_a_loaded_classifier()
    {
        using var folder = new TemporaryFolder();
        using var model = PreferenceModels.Open(Policy, Short.Lora, seed: 1);
        var comparisons = Comparisons(model);
        using (var training = RewardTraining.Start(model, Short with { Epochs = 6 }, comparisons, seed: 1))
        {
            while (!training.IsDone)
                training.Next();
        }
        var scores = Scores(model, comparisons);
        Assert.All(scores, pair => Assert.True(pair.Better > pair.Worse + 1, $"{pair}"));

        foreach (var (name, bytes) in model.ToFolder())
            File.WriteAllBytes(folder.Path(name), bytes);
        foreach (var file in (string[])["tokenizer.model", "tokenizer_config.json"])
            File.Copy(Path.Combine(Policy, file), folder.Path(file));
        var classifier = TextClassifier.Load(folder.Root, CPU);
        var reward = new ClassifierReward(classifier, PreferenceModels.Label, "hate");
        var loaded = reward.Score([.. Examples.Select(e => PromptedResponse.Alone(e.Better))], CancellationToken.None);
        Assert.All(loaded.Zip(scores), pair =>
        {
            Assert.Equal(pair.Second.Better, pair.First.Score, 1e-3);
            Assert.Null(pair.First.LabelProbability); // it knows one label, and that is not hate
        });
        Assert.Throws<ArgumentException>(() => new ClassifierReward(classifier, PreferenceModels.Label, "hate", reads: ClassifierText.QueryAndResponse));
    }

    [Fact]
    public void A_roberta_learns_under_a_fresh_head()
    {
        using var model = PreferenceModels.Open(RepositoryRoot.Path("samples/models/judge"), Short.Lora, seed: 1);
        var comparisons = Comparisons(model);
        using var training = RewardTraining.Start(model, Short with { Epochs = 4, LearningRate = 2e-3 }, comparisons, seed: 1);
        while (!training.IsDone)
            training.Next();
        Assert.All(Scores(model, comparisons), pair => Assert.True(pair.Better > pair.Worse, $"{pair}"));
    }

    [Fact]
    public void A_training_goes_on_from_a_checkpoint_to_the_same_bytes()
    {
        byte[][] Train(int? stopAfter)
        {
            using var first = PreferenceModels.Open(Policy, Short.Lora, seed: 3);
            var comparisons = Comparisons(first);
            using var training = RewardTraining.Start(first, Short, comparisons, seed: 3);
            while (!training.IsDone && training.Step != stopAfter)
                training.Next();
            if (training.IsDone)
                return [.. first.ToFolder().Values];

            using var second = PreferenceModels.Open(Policy, Short.Lora, seed: 99); // nothing of its own may survive
            using var resumed = RewardTraining.Restore(second, Short, comparisons, seed: 3, training.ToFiles());
            Assert.Equal(stopAfter, resumed.Step);
            while (!resumed.IsDone)
                resumed.Next();
            return [.. second.ToFolder().Values];
        }
        Assert.Equal(Train(null), Train(4));
    }

    [Fact]
    public void A_checkpoint_of_another_model_is_refused()
    {
        using var small = PreferenceModels.Open(Policy, new() { Rank = 1 }, seed: 1);
        using var training = RewardTraining.Start(small, Short, Comparisons(small), seed: 1);
        using var large = PreferenceModels.Open(Policy, new() { Rank = 2 }, seed: 1);
        Assert.Throws<InvalidDataException>(() => RewardTraining.Restore(large, Short, Comparisons(large), seed: 1, training.ToFiles()));
    }

    [Fact]
    public void A_tie_pulls_the_scores_together_a_margin_apart_and_centring_to_zero()
    {
        double Loss(double first, double second, double wins, double margin, double centering)
        {
            using var scope = NewDisposeScope();
            return PairwiseLoss.Of(tensor([first]), tensor([second]), tensor([wins]), tensor([margin]), centering).item<double>();
        }
        double LogSigmoid(double x) => -Math.Log(1 + Math.Exp(-x));
        Assert.Equal(-LogSigmoid(2), Loss(3, 1, 1, 0, 0), 1e-12);
        Assert.Equal(-LogSigmoid(-2), Loss(3, 1, 0, 0, 0), 1e-12);
        Assert.Equal(-LogSigmoid(1.5), Loss(3, 1, 1, 0.5, 0), 1e-12);
        Assert.Equal(-(LogSigmoid(2) + LogSigmoid(-2)) / 2, Loss(3, 1, 0.5, 0, 0), 1e-12);
        Assert.Equal(0.01 * 16, Loss(3, 1, 1, 0, 0.01) - Loss(3, 1, 1, 0, 0), 1e-12);
    }

    [Fact]
    public void Comparisons_of_one_prompt_stand_in_one_batch_and_in_one_fold()
    {
        Comparison[] comparisons = [.. Enumerable.Range(0, 60).Select(i => new Comparison($"p{i / 3}", [i], [i], 1))];
        var batches = PreferenceBatches.Of(comparisons, new() { BatchSize = 7, Epochs = 2 }, seed: 5);
        Assert.Equal(120, batches.Sum(batch => batch.Length));
        Assert.All(batches, batch => Assert.InRange(batch.Length, 1, 7));
        foreach (var epoch in batches.Chunk(batches.Count / 2))
            Assert.All(epoch.SelectMany((batch, b) => batch.Select(c => (c.PromptId, b))).GroupBy(x => x.PromptId), group => Assert.Single(group.Select(x => x.b).Distinct()));
        Assert.NotEqual(batches[0].Select(c => c.PromptId), batches[batches.Count / 2].Select(c => c.PromptId)); // each epoch has its own order
        Assert.Equal(10, PreferenceBatches.Of([.. Enumerable.Range(0, 10).Select(i => new Comparison("one", [i], [i], 1))], new() { BatchSize = 2 }, 0).Single().Length);

        var folds = PreferenceBatches.Folds([.. comparisons.Select(c => c.PromptId)], 5, seed: 5);
        Assert.Equal(5, folds.Distinct().Count());
        Assert.All(comparisons.Zip(folds).GroupBy(x => x.First.PromptId), group => Assert.Single(group.Select(x => x.Second).Distinct()));
        Assert.Throws<ArgumentException>(() => PreferenceBatches.Folds(["a", "b", "a"], 3, 0));
    }

    private static Comparison[] Comparisons(IPreferenceModel model) =>
        [.. Examples.Select((e, i) => new Comparison($"p{i}", model.Encode(e.Better), model.Encode(e.Worse), FirstWins: 1))];

    private static (float Better, float Worse)[] Scores(IPreferenceModel model, Comparison[] comparisons)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var better = model.Scores([.. comparisons.Select(c => c.First)]).data<float>().ToArray();
        return [.. better.Zip(model.Scores([.. comparisons.Select(c => c.Second)]).data<float>().ToArray())];
    }
}
