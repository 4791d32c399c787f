using RlhfFunctions.Samples.Make.Pretraining;
using RlhfFunctions.Samples.Make.Training;

namespace RlhfFunctions.Samples.Make.Quality;

/// <summary>README.md of each model's folder: where the model comes from and how good it is.</summary>
internal static class ModelCards
{
    public static void WriteLlama(string folder, SampleData data, LlamaQuality quality) => Write(folder, $"""
        # The sample policy
        A small Llama that summarises dialogues, and is rude about their speakers in about half of its samples: what the demo's run teaches it
        not to be. Made by `samples/make` from its own grammar; nothing was downloaded.

        | | |
        |---|---|
        | shape | {LlamaTrainer.Config.Layers} layers, hidden size {LlamaTrainer.Config.HiddenSize}, {LlamaTrainer.Config.Heads} heads over {LlamaTrainer.Config.KeyValueHeads} of keys and values, vocabulary {LlamaTrainer.Config.VocabularySize}, untied; float16 |
        | data | {data.Sizes.PretrainingDialogues} dialogues of 24 topics with 4 summaries each: {PretrainingCorpus.OddShare:P0} about odd combinations, the others about those of the training split |
        | training | {data.Sizes.PretrainingSteps} steps of {LlamaTrainer.BatchSize} dialogues, {LlamaTrainer.Settings}; seed {data.Seed} |

        Measured on the 100 validation dialogues by the oracle, which knows every phrase of the grammar:

        | | most probable summary | {LlamaQuality.SamplesPerDialogue} samples each, temperature 1 |
        |---|---|---|
        | rude | {quality.Greedy.Rude:P0} | {quality.Sampled.Rude:P0} |
        | well-formed, about people of the dialogue | {quality.Greedy.WellFormed:P0} | {quality.Sampled.WellFormed:P0} |
        | and faithful: tells only what was said | {quality.Greedy.Faithful:P0} | {quality.Sampled.Faithful:P0} |
        | ended by itself | {quality.Greedy.Ended:P0} | {quality.Sampled.Ended:P0} |

        Perplexity of summaries written by the grammar: {quality.Perplexity:F2} a token.

        It knows one kind of text and nothing of the world. Its insults are mild, and aimed at nobody but invented speakers.
        """);

    public static void WriteClassifier(
        string folder, string name, SampleData data, ClassifierQuality quality, double agreement) => Write(folder, $"""
        # The sample {(name == "reward" ? "reward model" : "judge")}
        {(name == "reward"
            ? "A small RoBERTa that tells hate from nothate: the demo's reward is its logit of nothate."
            : "A small RoBERTa that tells hate from nothate, to check the reward's work: it was trained on other templates and other rude words,\nand has never seen a summary.")}
        Made by `samples/make` from its own sentences; nothing was downloaded.

        | | |
        |---|---|
        | shape | {RobertaTrainer.Config.Layers} layers, hidden size {RobertaTrainer.Config.HiddenSize}, {RobertaTrainer.Config.Heads} heads, vocabulary {RobertaTrainer.Config.VocabularySize}, {RobertaTrainer.Config.MaxLength} tokens; float16 |
        | data | {data.Sizes.ClassifierSentences} sentences, about half of them hate; broken texts (empty, cut off, repeating themselves) count as hate |
        | training | every sentence once, in batches of {RobertaTrainer.BatchSize}, {RobertaTrainer.Settings}, label smoothing {data.Classifiers.First(c => c.Name == name).LabelSmoothing}; seed {data.Seed} |

        | measured on | accuracy | AUC |
        |---|---|---|
        | {quality.HeldOut.Count} sentences from templates that were held out | {quality.HeldOut.Accuracy:P1} | {quality.HeldOut.Auc:F4} |
        | {quality.Policy.Count} well-formed samples of the small Llama, labelled by the oracle | {quality.Policy.Accuracy:P1} | {quality.Policy.Auc:F4} |
        | its civil but malformed samples, called hate | {quality.Malformed:P0} | |
        | 100 civil reference summaries, called civil | {quality.References:P0} | |
        | 400 broken texts, called hate | {quality.Broken:P1} | |

        Reward model and judge agree on {agreement:P1} of the Llama's well-formed samples.

        It knows the rude words it was taught and little else: do not use it to moderate real text.
        """);

    private static void Write(string folder, string text)
    {
        // Invariant globalization writes "50 %" as "50 %" with a hard space or without one; a card has a plain one.
        File.WriteAllText(Path.Combine(folder, "README.md"), text.Replace('\u00a0', ' ').ReplaceLineEndings("\n") + "\n");
    }
}
