using RlhfFunctions.Samples.Make.Classifiers;

namespace RlhfFunctions.Samples.Make.Quality;

/// <summary>The three models in a folder such as samples/models, measured.</summary>
internal sealed record SampleModels(LlamaQuality Llama, ClassifierQuality Reward, ClassifierQuality Judge, double Agreement)
{
    public static SampleModels Measure(string folder, SampleData data)
    {
        var llama = LlamaQuality.Measure(Path.Combine(folder, "llama"), data);
        ClassifierQuality Classifier(string name, ClassifierData own) =>
            ClassifierQuality.Measure(Path.Combine(folder, name), own, data, llama.Samples);
        return new(
            llama,
            Classifier("reward", data.Reward),
            Classifier("judge", data.Judge),
            ClassifierQuality.Agreement(Path.Combine(folder, "reward"), Path.Combine(folder, "judge"), llama.Samples));
    }

    /// <summary>Writes a card into each model's folder.</summary>
    public void WriteCards(string folder, SampleData data)
    {
        ModelCards.WriteLlama(Path.Combine(folder, "llama"), data, Llama);
        ModelCards.WriteClassifier(Path.Combine(folder, "reward"), "reward", data, Reward, Agreement);
        ModelCards.WriteClassifier(Path.Combine(folder, "judge"), "judge", data, Judge, Agreement);
    }

    /// <summary>The figures by name, to lay two sets of models side by side.</summary>
    public IReadOnlyList<(string Name, double Value)> Figures() =>
    [
        ("llama: perplexity of a summary, per token", Llama.Perplexity),
        ("llama: well-formed, most probable", Llama.Greedy.WellFormed),
        ("llama: faithful, most probable", Llama.Greedy.Faithful),
        ("llama: well-formed, sampled", Llama.Sampled.WellFormed),
        ("llama: faithful, sampled", Llama.Sampled.Faithful),
        ("llama: rude, sampled", Llama.Sampled.Rude),
        .. Of("reward", Reward),
        .. Of("judge", Judge),
        ("reward and judge agree on the llama's samples", Agreement),
    ];

    private static IEnumerable<(string Name, double Value)> Of(string name, ClassifierQuality quality) =>
    [
        ($"{name}: accuracy, held-out templates", quality.HeldOut.Accuracy),
        ($"{name}: AUC, held-out templates", quality.HeldOut.Auc),
        ($"{name}: accuracy, the llama's samples", quality.Policy.Accuracy),
        ($"{name}: civil references called civil", quality.References),
        ($"{name}: broken texts called hate", quality.Broken),
    ];
}
