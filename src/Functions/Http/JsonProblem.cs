using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using RlhfFunctions.Contracts;

namespace RlhfFunctions.Http;

/// <summary>Says in a user's words what the JSON reader says in .NET's.</summary>
internal static partial class JsonProblem
{
    private static readonly string Kinds = string.Join(
        ", ", typeof(RewardTerm).GetCustomAttributes<JsonDerivedTypeAttribute>().Select(derived => derived.TypeDiscriminator));

    /// <param name="exception">A JsonException, or the NotSupportedException of an object that does not say its kind.</param>
    /// <param name="example">Where a right body can be seen.</param>
    public static string Describe(Exception exception, string example)
    {
        if (exception is not JsonException error)
        {
            string place = Place().Match(exception.Message) is { Success: true } known ? $" (at {known.Groups[1].Value})" : "";
            return $"Required and missing{place}: \"{RewardTerm.Discriminator}\", one of {Kinds}.";
        }

        string where = string.IsNullOrEmpty(error.Path) || error.Path == "$" ? "" : $" (at {Short(error.Path)})";
        string position = error.LineNumber is { } line ? $"Line {line + 1}, byte {error.BytePositionInLine}{where}: " : "";
        string message = error.Message;
        if (UnknownKind().Match(message) is { Success: true } unknown)
            return $"The {RewardTerm.Discriminator} \"{Short(unknown.Groups[1].Value)}\" is not known{where}. It must be one of {Kinds}.";
        if (Unmapped().Match(message) is { Success: true } unmapped)
            return $"The field \"{Short(unmapped.Groups[1].Value)}\" is not known{where}. Check its spelling against {example}.";
        if (Duplicate().Match(message) is { Success: true } duplicate)
            return $"The field \"{Short(duplicate.Groups[1].Value)}\" stands twice{where}. Leave one.";
        if (Missing().Match(message) is { Success: true } missing)
            return $"Required and missing{where}: {missing.Groups[1].Value.Replace('\'', '"').TrimEnd('.')}. {example} shows a whole request.";
        if (Converted().Match(message) is { Success: true } converted)
            return $"{position}the value must be {KindOf(converted.Groups[1].Value)}.";
        if (message.Contains("null values", StringComparison.Ordinal)) return $"{position}the value must not be null. Leave the field out to have its default.";
        if (message.Contains("depth", StringComparison.Ordinal)) return $"{position}the body ends before its last bracket, or is nested too deeply.";
        return error.LineNumber is null
            ? "The body is null, where an object is needed."
            : $"{position}this is not JSON: a value, comma, colon, quote or bracket is missing or wrong.";
    }

    private static string Short(string text)
    {
        return text.Length <= 100 ? text : text[..100] + "…";
    }

    /// <summary>What a value must be, for the .NET type that it could not be read as.</summary>
    private static string KindOf(string type)
    {
        if (typeof(RunRequest).Assembly.GetTypes().FirstOrDefault(ours => ours.IsEnum && type.Contains(ours.FullName!, StringComparison.Ordinal)) is { } choice)
            return "one of " + string.Join(", ", Enum.GetValues(choice).Cast<object>().Select(value => JsonSerializer.Serialize(value, choice, ContractsJson.Options)));
        string[] kinds = ["IReadOnlyList", "a list", "Int32", "a whole number that is not too large", "Int64", "a whole number that is not too large",
            "Double", "a number", "Boolean", "true or false", "String", "a text in quotes"];
        int found = Array.FindIndex(kinds, kind => type.Contains(kind, StringComparison.Ordinal));
        return found < 0 ? "an object" : kinds[found + 1];
    }

    [GeneratedRegex("JSON property '([^']*)' could not be mapped")]
    private static partial Regex Unmapped();

    [GeneratedRegex("[Dd]uplicate (?:property )?'([^']*)'")]
    private static partial Regex Duplicate();

    [GeneratedRegex("unrecognized type discriminator id '([^']*)'")]
    private static partial Regex UnknownKind();

    [GeneratedRegex(@"Path: (\S+)")]
    private static partial Regex Place();

    [GeneratedRegex("missing required properties including: (.*?)(?: Path:|$)")]
    private static partial Regex Missing();

    [GeneratedRegex(@"could not be converted to (\S+)")]
    private static partial Regex Converted();
}
