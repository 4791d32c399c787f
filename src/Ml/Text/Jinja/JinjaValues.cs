using System.Collections;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace RlhfFunctions.Ml.Text.Jinja;

/// <summary>
/// Python's rules for the values of templates: null is none, numbers are long and double, lists and dictionaries those of .NET.
/// </summary>
internal static class JinjaValues
{
    private static readonly JsonSerializerOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static bool IsTrue(object? value) => value switch
    {
        null or Undefined => false,
        bool flag => flag,
        long number => number != 0,
        double number => number != 0,
        string text => text.Length > 0,
        ICollection items => items.Count > 0,
        _ => true,
    };

    /// <summary>As a template writes it.</summary>
    public static string AsText(object? value) => value switch
    {
        Undefined => "",
        string text => text,
        _ => Represent(value),
    };

    public static bool AreEqual(object? a, object? b) => (a, b) switch
    {
        (string x, string y) => x == y,
        (IList x, IList y) => x.Count == y.Count && x.Cast<object?>().Zip(y.Cast<object?>(), AreEqual).All(equal => equal),
        _ when Number(a) is { } x && Number(b) is { } y => x.Equals(y),
        _ => Equals(a, b),
    };

    public static bool Contains(object? container, object? item) => container switch
    {
        string text => text.Contains(AsText(item), StringComparison.Ordinal),
        IDictionary map => item is not null && map.Contains(item),
        IEnumerable items => items.Cast<object?>().Any(other => AreEqual(other, item)),
        _ => throw Wrong($"{Kind(container)} holds nothing that could be looked for"),
    };

    public static int Compare(object? a, object? b) =>
        (a, b) is (string x, string y) ? string.CompareOrdinal(x, y)
        : Number(a) is { } m && Number(b) is { } n ? m.CompareTo(n)
        : throw Wrong($"{Kind(a)} and {Kind(b)} have no order");

    public static object? Calculate(string sign, object? a, object? b)
    {
        if (sign == "~")
            return AsText(a) + AsText(b);
        if (sign == "+" && (a, b) is (string x, string y))
            return x + y;
        if (sign == "+" && (a, b) is (IList first, IList second))
            return new List<object?>([.. first.Cast<object?>(), .. second.Cast<object?>()]);
        if (sign == "*" && (a, b) is (string part, long times))
            return string.Concat(Enumerable.Repeat(part, (int)Math.Max(0, times)));
        if (Whole(a) is { } i && Whole(b) is { } j)
            return sign switch
            {
                "+" => (object)(i + j),
                "-" => i - j,
                "*" => i * j,
                "//" => (long)Math.Floor((double)i / j),
                "%" => ((i % j) + j) % j,
                _ => (double)i / j,
            };
        if (Number(a) is { } m && Number(b) is { } n)
            return sign switch
            {
                "+" => m + n,
                "-" => m - n,
                "*" => m * n,
                "//" => Math.Floor(m / n),
                "%" => m - (n * Math.Floor(m / n)),
                _ => m / n,
            };
        throw Wrong($"{Kind(a)} {sign} {Kind(b)} has no value");
    }

    /// <summary>A member by name or key, a place from the front or, if negative, from the back.</summary>
    public static object? Member(object? value, object? key) => (value, key) switch
    {
        (IDictionary map, not null) when map.Contains(key) => map[key],
        (string text, string name) => JinjaFunctions.Method(text, name),
        (IDictionary map, string name) => JinjaFunctions.Method(map, name),
        (IList list, long place) => Place(list.Count, place) is { } i ? list[i] : Undefined.Value,
        (string text, long place) => Place(text.Length, place) is { } i ? text[i].ToString() : Undefined.Value,
        (Undefined or null, _) => throw Wrong($"{AsText(key)} is looked for in what is {Kind(value)}"),
        _ => Undefined.Value,
    };

    /// <summary>items[from:to:step]</summary>
    public static object? Slice(object? value, long? from, long? to, long step)
    {
        var count = value is string text ? text.Length : Items(value).Count();
        var taken = new List<int>();
        long Bound(long? place, long otherwise, long least, long most) =>
            place is { } given ? Math.Clamp(given < 0 ? given + count : given, least, most) : otherwise;
        if (step > 0)
            for (var i = Bound(from, 0, 0, count); i < Bound(to, count, 0, count); i += step)
                taken.Add((int)i);
        else
            for (var i = Bound(from, count - 1, -1, count - 1); i > Bound(to, -1, -1, count - 1); i += step)
                taken.Add((int)i);
        if (value is string all)
            return string.Concat(taken.Select(i => all[i]));
        object?[] items = [.. Items(value)];
        return taken.Select(i => items[i]).ToList();
    }

    /// <summary>What a loop goes through: items of a list, keys of a dictionary, characters of a text.</summary>
    public static IEnumerable<object?> Items(object? value) => value switch
    {
        string text => text.Select(c => (object?)c.ToString()),
        IDictionary map => map.Keys.Cast<object?>(),
        IEnumerable items => items.Cast<object?>(),
        Undefined => [],
        _ => throw Wrong($"there is nothing to go through in {Kind(value)}"),
    };

    public static string ToJson(object? value, long? indent) => value switch
    {
        IDictionary { Count: > 0 } map => Joined('{', '}', map.Keys.Cast<object>().Select(key => $"{JsonSerializer.Serialize(AsText(key), Json)}: {ToJson(map[key], indent)}"), indent),
        IDictionary => "{}",
        IList { Count: > 0 } list => Joined('[', ']', list.Cast<object?>().Select(item => ToJson(item, indent)), indent),
        IList => "[]",
        _ => JsonSerializer.Serialize(value, Json),
    };

    public static string Kind(object? value) => value switch
    {
        null => "none",
        Undefined => "not defined",
        bool => "a truth value",
        long or double => "a number",
        string => "a text",
        IDictionary => "a dictionary",
        IEnumerable => "a list",
        _ => "a function",
    };

    public static InvalidDataException Wrong(string what) => new($"the chat template cannot be filled in: {what}");

    public static long? Whole(object? value) => value switch { long number => number, bool flag => flag ? 1 : 0, _ => null };

    private static double? Number(object? value) => value is double number ? number : Whole(value);

    private static int? Place(int count, long place)
    {
        var i = place < 0 ? place + count : place;
        return i >= 0 && i < count ? (int)i : null;
    }

    private static string Joined(char open, char close, IEnumerable<string> items, long? indent)
    {
        if (indent is not { } width)
            return $"{open}{string.Join(", ", items)}{close}";
        var space = new string(' ', (int)width);
        return $"{open}\n{space}{string.Join($",\n{space}", items.Select(item => item.Replace("\n", $"\n{space}", StringComparison.Ordinal)))}\n{close}";
    }

    /// <summary>As Python's repr.</summary>
    private static string Represent(object? value)
    {
        switch (value)
        {
            case null:
                return "None";
            case Undefined:
                return "Undefined";
            case bool flag:
                return flag ? "True" : "False";
            case string text:
                var quote = text.Contains('\'') && !text.Contains('"') ? '"' : '\'';
                var escaped = new StringBuilder(text).Replace("\\", "\\\\").Replace("\n", "\\n").Replace("\r", "\\r").Replace("\t", "\\t");
                return $"{quote}{(quote == '\'' ? escaped.Replace("'", "\\'") : escaped)}{quote}";
            case double number:
                return number == Math.Floor(number) && Math.Abs(number) < 1e16
                    ? number.ToString("F1", CultureInfo.InvariantCulture) : number.ToString("R", CultureInfo.InvariantCulture);
            case IDictionary map:
                return $"{{{string.Join(", ", map.Keys.Cast<object>().Select(key => $"{Represent(key)}: {Represent(map[key])}"))}}}";
            case IList list:
                return $"[{string.Join(", ", list.Cast<object?>().Select(Represent))}]";
            default:
                return string.Format(CultureInfo.InvariantCulture, "{0}", value);
        }
    }
}
