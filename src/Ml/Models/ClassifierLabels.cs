using System.Text.Json;
using RlhfFunctions.Ml.Artifacts;

namespace RlhfFunctions.Ml.Models;

/// <summary>How a classifier's logits become probabilities.</summary>
public enum LabelRule
{
    /// <summary>One label of all holds: softmax.</summary>
    OneOfAll,

    /// <summary>Every label holds or does not by itself: sigmoid.</summary>
    EachByItself,

    /// <summary>The outputs are scores, and there are no probabilities.</summary>
    Scores,
}

/// <summary>What a classifier's outputs are, as its config.json says.</summary>
/// <param name="Names">What each output stands for, by its index.</param>
/// <param name="Rule">How they become probabilities.</param>
public sealed record ClassifierLabels(IReadOnlyDictionary<int, string> Names, LabelRule Rule)
{
    /// <summary>Reads <c>id2label</c> and <c>problem_type</c>; transformers takes a single output without a type for a score, and so do we.</summary>
    /// <exception cref="InvalidDataException">One of them is wrong, or a type whose outputs this code cannot read.</exception>
    public static ClassifierLabels Read(ConfigFile file)
    {
        var names = ReadNames(file);
        return new(names, file.Text("problem_type") switch
        {
            null or "single_label_classification" => names.Count == 1 ? LabelRule.Scores : LabelRule.OneOfAll,
            "multi_label_classification" => LabelRule.EachByItself,
            "regression" => LabelRule.Scores,
            var other => throw new InvalidDataException(
                $"{file.Name}: 'problem_type' is '{other}', whose outputs are not known here; supported are single_label_classification, "
                + "multi_label_classification and regression."),
        });
    }

    private static Dictionary<int, string> ReadNames(ConfigFile file)
    {
        if (file.Find("id2label") is not { } labels)
            return Enumerable.Range(0, file.Int("num_labels", 2)).ToDictionary(i => i, i => $"LABEL_{i}");
        try
        {
            return labels.EnumerateObject().ToDictionary(l => int.Parse(l.Name), l => l.Value.GetString()!);
        }
        catch (Exception e) when (e is FormatException or InvalidOperationException or ArgumentException or JsonException)
        {
            throw file.Wrong("id2label", labels, "an object from output number to label");
        }
    }
}
