namespace RlhfFunctions.Ml.Lora;

/// <summary>Which linear layers get an adapter, by PEFT's rules for target_modules.</summary>
public static class LoraTargets
{
    private const string All = "all-linear";

    /// <summary>The names that <paramref name="targets"/> stand for: "all-linear" is every last component there is.</summary>
    /// <param name="projections">Names of the model's linear layers, such as model.layers.0.self_attn.q_proj.</param>
    /// <param name="targets">Whole names or their last components.</param>
    /// <exception cref="ArgumentException">A target does not exist in the model.</exception>
    public static IReadOnlyList<string> Resolve(IReadOnlyList<string> projections, IReadOnlyList<string> targets)
    {
        string[] names = [.. projections.Select(p => p.Split('.')[^1]).Distinct().Order(StringComparer.Ordinal)];
        if (targets is [All])
            return names;
        foreach (var target in targets.Where(t => !projections.Any(p => IsNamed(p, t))))
            throw new ArgumentException($"The model has no linear layer '{target}'; it has {string.Join(", ", names)}.");
        return targets;
    }

    /// <summary>Whether a layer is one of the targets.</summary>
    public static bool Include(IReadOnlyList<string> targets, string projection) => targets.Any(t => IsNamed(projection, t));

    private static bool IsNamed(string name, string target) =>
        name == target || (name.EndsWith(target, StringComparison.Ordinal) && name[^(target.Length + 1)] == '.');
}
