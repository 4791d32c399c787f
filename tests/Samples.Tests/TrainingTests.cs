using RlhfFunctions.Ml.Models;
using RlhfFunctions.Ml.Text;
using RlhfFunctions.Samples.Make;
using RlhfFunctions.Samples.Make.Quality;
using RlhfFunctions.Samples.Make.Training;

namespace RlhfFunctions.Samples.Tests;

/// <summary>The making of the three models, small in the default suite, and long enough to learn in the slow one.</summary>
public sealed class TrainingTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("rlhf-training-");

    [Fact]
    public void A_miniature_makes_models_that_load_and_have_begun_to_learn()
    {
        var data = new SampleData(seed: 3, new SampleSizes
        {
            TrainDialogues = 50,
            HeldDialogues = 8,
            PretrainingDialogues = 160,
            PretrainingSteps = 30,
            ClassifierSentences = 2400,
        });
        Steps.Models(data, _folder);

        var quality = SampleModels.Measure(Models, data);
        Assert.InRange(quality.Llama.Perplexity, 1, LlamaTrainer.Config.VocabularySize / 4.0); // at first it is about the vocabulary's size
        Assert.InRange(quality.Reward.HeldOut.Auc, 0.6, 1);
        Assert.InRange(quality.Judge.HeldOut.Auc, 0.6, 1);
        foreach (var name in new[] { "llama", "reward", "judge" })
        {
            Assert.True(new FileInfo(Path.Combine(Models, name, "model.safetensors")).Length > 1_000_000);
            Assert.Contains("samples/make", File.ReadAllText(Path.Combine(Models, name, "README.md")), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Equal_seeds_give_equal_weights_and_other_seeds_others()
    {
        Assert.Equal(Trained(seed: 5), Trained(seed: 5));
        Assert.NotEqual(Trained(seed: 5), Trained(seed: 6));
    }

    /// <summary>A quarter of the real thing, some six minutes: names and facts are copied by then, if not yet always.</summary>
    [Fact]
    [Trait("Category", "Slow")]
    public void A_quarter_of_the_real_training_learns_to_summarise_rudely_and_to_tell_hate()
    {
        var data = new SampleData(seed: 2, new SampleSizes { PretrainingDialogues = 16_000, PretrainingSteps = 1200, ClassifierSentences = 24_000 });
        Steps.Models(data, _folder);

        var quality = SampleModels.Measure(Models, data);
        Assert.InRange(quality.Llama.Perplexity, 1, 2.2);
        Assert.InRange(quality.Llama.Greedy.WellFormed, 0.6, 1);
        Assert.InRange(quality.Llama.Sampled.Rude, 0.3, 0.7);
        Assert.InRange(quality.Llama.Sampled.Ended, 0.95, 1);
        foreach (var classifier in new[] { quality.Reward, quality.Judge })
        {
            Assert.InRange(classifier.HeldOut.Auc, 0.9, 1);
            Assert.InRange(classifier.Policy.Auc, 0.95, 1);
        }
        Assert.InRange(quality.Reward.Broken, 0.8, 1);
        Assert.InRange(quality.Judge.Broken, 0.5, 1); // it is shown half as many of them, as what is foreign should not look broken
        Assert.InRange(quality.Agreement, 0.9, 1);
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private string Models => Path.Combine(_folder.FullName, "models");

    private float[] Trained(int seed)
    {
        var data = new SampleData(seed: 3, new SampleSizes { TrainDialogues = 20, HeldDialogues = 4, PretrainingDialogues = 40 });
        Steps.Tokenizers(data, _folder);
        using var scope = TorchSharp.torch.NewDisposeScope();
        using LlamaForCausalLm model = LlamaTrainer.Train(
            data.Corpus, LlamaText.FromFolder(Path.Combine(Models, "llama")), steps: 3, seed, TextWriter.Null);
        return [.. model.parameters().SelectMany(p => p.data<float>())];
    }
}
