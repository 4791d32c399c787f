using System.Collections;
using System.Globalization;
using static RlhfFunctions.Ml.Text.Jinja.JinjaValues;

namespace RlhfFunctions.Ml.Text.Jinja;

/// <summary>The filters, tests, methods and functions that chat templates use.</summary>
internal static class JinjaFunctions
{
    private const long LongestRange = 100_000; // as in Jinja's sandbox

    /// <summary>value | filter(arguments)</summary>
    public static IReadOnlyDictionary<string, Callable> Filters { get; } = new Dictionary<string, Callable>
    {
        ["trim"] = (a, _) => a.Count > 1 ? AsText(a[0]).Trim(AsText(a[1]).ToCharArray()) : AsText(a[0]).Trim(),
        ["length"] = (a, _) => Length(a[0]),
        ["count"] = (a, _) => Length(a[0]),
        ["upper"] = (a, _) => AsText(a[0]).ToUpperInvariant(),
        ["lower"] = (a, _) => AsText(a[0]).ToLowerInvariant(),
        ["title"] = (a, _) => CultureInfo.InvariantCulture.TextInfo.ToTitleCase(AsText(a[0]).ToLowerInvariant()),
        ["capitalize"] = (a, _) => AsText(a[0]) is { Length: > 0 } text ? char.ToUpperInvariant(text[0]) + text[1..].ToLowerInvariant() : "",
        ["replace"] = (a, _) => AsText(a[0]).Replace(AsText(a[1]), AsText(a[2]), StringComparison.Ordinal),
        ["join"] = (a, _) => string.Join(a.Count > 1 ? AsText(a[1]) : "", Items(a[0]).Select(AsText)),
        ["first"] = (a, _) => Items(a[0]).DefaultIfEmpty(Undefined.Value).First(),
        ["last"] = (a, _) => Items(a[0]).DefaultIfEmpty(Undefined.Value).Last(),
        ["default"] = Default,
        ["d"] = Default,
        ["string"] = (a, _) => AsText(a[0]),
        ["safe"] = (a, _) => a[0],
        ["int"] = (a, _) => long.TryParse(AsText(a[0]), CultureInfo.InvariantCulture, out var number) ? number : 0L,
        ["list"] = (a, _) => Items(a[0]).ToList(),
        ["reverse"] = (a, _) => Items(a[0]).Reverse().ToList(),
        ["items"] = (a, _) => Pairs(a[0]),
        ["tojson"] = (a, named) => ToJson(a[0], Whole(a.Count > 1 ? a[1] : named.GetValueOrDefault("indent"))),
        ["map"] = (a, named) => Items(a[0]).Select(item => named.TryGetValue("attribute", out var name)
            ? Member(item, name) : Filters![AsText(a[1])]([item, .. a.Skip(2)], named)).ToList(),
        ["selectattr"] = (a, _) => Items(a[0]).Where(item => Passes(Member(item, a[1]), a, 2)).ToList(),
        ["rejectattr"] = (a, _) => Items(a[0]).Where(item => !Passes(Member(item, a[1]), a, 2)).ToList(),
        ["select"] = (a, _) => Items(a[0]).Where(item => Passes(item, a, 1)).ToList(),
        ["reject"] = (a, _) => Items(a[0]).Where(item => !Passes(item, a, 1)).ToList(),
    };

    /// <summary>value is test(arguments)</summary>
    public static IReadOnlyDictionary<string, Func<IReadOnlyList<object?>, bool>> Tests { get; } = new Dictionary<string, Func<IReadOnlyList<object?>, bool>>
    {
        ["defined"] = a => a[0] is not Undefined,
        ["undefined"] = a => a[0] is Undefined,
        ["none"] = a => a[0] is null,
        ["string"] = a => a[0] is string,
        ["number"] = a => a[0] is long or double or bool,
        ["integer"] = a => a[0] is long,
        ["boolean"] = a => a[0] is bool,
        ["true"] = a => a[0] is true,
        ["false"] = a => a[0] is false,
        ["mapping"] = a => a[0] is IDictionary,
        ["sequence"] = a => a[0] is string or IList or IDictionary,
        ["iterable"] = a => a[0] is string or IEnumerable,
        ["odd"] = a => Whole(a[0]) % 2 is 1 or -1,
        ["even"] = a => Whole(a[0]) % 2 == 0,
        ["equalto"] = a => AreEqual(a[0], a[1]),
        ["eq"] = a => AreEqual(a[0], a[1]),
        ["ne"] = a => !AreEqual(a[0], a[1]),
        ["in"] = a => Contains(a[1], a[0]),
    };

    /// <summary>What a template finds without being given it.</summary>
    public static JinjaScope Globals()
    {
        var scope = new JinjaScope
        {
            ["namespace"] = (Callable)((_, named) => named.ToDictionary(pair => pair.Key, pair => pair.Value)),
            ["dict"] = (Callable)((_, named) => named.ToDictionary(pair => pair.Key, pair => pair.Value)),
            ["range"] = (Callable)((a, _) => Range(a)),
            ["raise_exception"] = (Callable)((a, _) => throw new InvalidDataException($"the chat template refuses it: {AsText(a[0])}")),
        };
        return scope;
    }

    /// <summary>A method of Python's str.</summary>
    public static object? Method(string text, string name)
    {
        char[]? Characters(IReadOnlyList<object?> a) => a.Count > 0 ? AsText(a[0]).ToCharArray() : null;
        bool Any(object? given, Func<string, bool> holds) => given is IList several ? several.Cast<string>().Any(holds) : holds(AsText(given));
        return name switch
        {
            "strip" => (Callable)((a, _) => text.Trim(Characters(a))),
            "lstrip" => (Callable)((a, _) => text.TrimStart(Characters(a))),
            "rstrip" => (Callable)((a, _) => text.TrimEnd(Characters(a))),
            "startswith" => (Callable)((a, _) => Any(a[0], start => text.StartsWith(start, StringComparison.Ordinal))),
            "endswith" => (Callable)((a, _) => Any(a[0], end => text.EndsWith(end, StringComparison.Ordinal))),
            "upper" => (Callable)((_, _) => text.ToUpperInvariant()),
            "lower" => (Callable)((_, _) => text.ToLowerInvariant()),
            "title" => (Callable)((a, named) => Filters["title"]([text], named)),
            "capitalize" => (Callable)((a, named) => Filters["capitalize"]([text], named)),
            "replace" => (Callable)((a, _) => text.Replace(AsText(a[0]), AsText(a[1]), StringComparison.Ordinal)),
            "split" => (Callable)((a, _) => Split(text, a)),
            _ => Undefined.Value,
        };
    }

    /// <summary>A method of Python's dict.</summary>
    public static object? Method(IDictionary map, string name) => name switch
    {
        "items" => (Callable)((_, _) => Pairs(map)),
        "keys" => (Callable)((_, _) => map.Keys.Cast<object?>().ToList()),
        "values" => (Callable)((_, _) => map.Values.Cast<object?>().ToList()),
        "get" => (Callable)((a, _) => map.Contains(a[0]!) ? map[a[0]!] : a.Count > 1 ? a[1] : null),
        _ => Undefined.Value,
    };

    private static object? Default(IReadOnlyList<object?> a, IReadOnlyDictionary<string, object?> named)
    {
        var otherwise = a.Count > 1 ? a[1] : "";
        var alsoIfFalse = IsTrue(a.Count > 2 ? a[2] : named.GetValueOrDefault("boolean"));
        return a[0] is Undefined || (alsoIfFalse && !IsTrue(a[0])) ? otherwise : a[0];
    }

    private static object Length(object? value) => value is string text ? (long)text.EnumerateRunes().Count() : (long)Items(value).Count();

    private static List<object?> Pairs(object? value) => value is IDictionary map
        ? [.. map.Keys.Cast<object?>().Select(key => new List<object?> { key, map[key!] })]
        : throw Wrong($"{Kind(value)} has no items");

    private static bool Passes(object? value, IReadOnlyList<object?> a, int test) => a.Count > test
        ? Tests.TryGetValue(AsText(a[test]), out var passes) ? passes([value, .. a.Skip(test + 1)]) : throw Wrong($"it tests for \"{AsText(a[test])}\", which is not supported")
        : IsTrue(value);

    private static List<object?> Range(IReadOnlyList<object?> a)
    {
        var numbers = a.Select(number => Whole(number) ?? throw Wrong("a range takes whole numbers")).ToArray();
        var (from, to, step) = numbers.Length == 1 ? (0, numbers[0], 1) : (numbers[0], numbers[1], numbers.Length > 2 ? numbers[2] : 1);
        if (step == 0 || (to - from) / step > LongestRange)
            throw Wrong($"a range of more than {LongestRange} numbers");
        var items = new List<object?>();
        for (var i = from; step > 0 ? i < to : i > to; i += step)
            items.Add(i);
        return items;
    }

    private static List<object?> Split(string text, IReadOnlyList<object?> a)
    {
        var most = a.Count > 1 && Whole(a[1]) is >= 0 and var cuts ? (int)cuts + 1 : int.MaxValue;
        return a.Count > 0 && a[0] is string separator
            ? [.. text.Split(separator, most)]
            : [.. text.Split((char[]?)null, most, StringSplitOptions.RemoveEmptyEntries)];
    }
}
