using RlhfFunctions.Ml.Models;

namespace RlhfFunctions.Ml.Lora;

/// <summary>Which linear layers get an adapter, by PEFT's rules for target_modules.</summary>
public static class LoraTargets
{
    private const string All = "all-linear";

    private static readonly string[] InLayer =
    [
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
    ];

    /// <summary>The names of a model's linear layers, by its configuration alone.</summary>
    public static IReadOnlyList<string> ProjectionsOf(LlamaConfig config) =>
        [.. Enumerable.Range(0, Math.Min(config.Layers, 1000)).SelectMany(layer => InLayer, (layer, name) => $"model.layers.{layer}.{name}")];

    /// <summary>The names that <paramref name="targets"/> stand for: "all-linear" is every last component there is.</summary>
    /// <param name="projections">Names of the model's linear layers, such as model.layers.0.self_attn.q_proj.</param>
    /// <param name="targets">Whole names or their last components.</param>
    /// <exception cref="ArgumentException">A target does not exist in the model.</exception>
    public static IReadOnlyList<string> Resolve(IReadOnlyList<string> projections, IReadOnlyList<string> targets)
    {
        if (ProblemWith(targets, projections) is { } problem)
            throw new ArgumentException(problem);
        return targets is [All] ? Components(projections) : targets;
    }

    /// <summary>What is wrong with target modules, or null.</summary>
    public static string? ProblemWith(IReadOnlyList<string> targets, IReadOnlyList<string> projections) =>
        targets is not [All] && targets.FirstOrDefault(t => !projections.Any(p => IsNamed(p, t))) is { } missing
            ? $"The model has no linear layer '{missing}'; it has {string.Join(", ", Components(projections))}."
            : null;

    /// <summary>Whether a layer is one of the targets.</summary>
    public static bool Include(IReadOnlyList<string> targets, string projection) => targets.Any(t => IsNamed(projection, t));

    private static string[] Components(IEnumerable<string> projections) =>
        [.. projections.Select(p => p.Split('.')[^1]).Distinct().Order(StringComparer.Ordinal)];

    private static bool IsNamed(string name, string target) =>
        name == target || (name.EndsWith(target, StringComparison.Ordinal) && name[^(target.Length + 1)] == '.');
}
