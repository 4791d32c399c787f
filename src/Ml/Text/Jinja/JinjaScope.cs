namespace RlhfFunctions.Ml.Text.Jinja;

/// <summary>A name that nothing was given to.</summary>
internal sealed class Undefined
{
    public static readonly Undefined Value = new();
}

/// <summary>A function of the template's or of ours, of positional and named arguments.</summary>
internal delegate object? Callable(IReadOnlyList<object?> arguments, IReadOnlyDictionary<string, object?> named);

/// <summary>What the names of a template stand for: those of a loop or macro before those around it.</summary>
internal sealed class JinjaScope(JinjaScope? outer = null)
{
    private readonly Dictionary<string, object?> _names = new(StringComparer.Ordinal);

    public object? this[string name]
    {
        get => _names.TryGetValue(name, out var value) ? value : outer is null ? Undefined.Value : outer[name];
        set => _names[name] = value;
    }
}
