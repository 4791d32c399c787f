using System.Text.Json;
using System.Text.RegularExpressions;

namespace RlhfFunctions.Http;

/// <summary>Says in a user's words what the JSON reader says in .NET's.</summary>
internal static partial class JsonProblem
{
    /// <param name="error">What the reader says.</param>
    /// <param name="example">Where a right body can be seen.</param>
    public static string Describe(JsonException error, string example)
    {
        string where = string.IsNullOrEmpty(error.Path) || error.Path == "$" ? "" : $" (at {error.Path})";
        if (Unmapped().Match(error.Message) is { Success: true } unmapped)
            return $"The field \"{unmapped.Groups[1].Value}\" is not known{where}. Check its spelling against {example}.";
        if (Duplicate().Match(error.Message) is { Success: true } duplicate)
            return $"The field \"{duplicate.Groups[1].Value}\" stands twice{where}. Leave one.";
        if (Missing().Match(error.Message) is { Success: true } missing)
            return $"Required and missing{where}: {missing.Groups[1].Value.Replace('\'', '"').TrimEnd('.')}. {example} shows a whole request.";
        return $"Line {error.LineNumber + 1}, byte {error.BytePositionInLine}{where}: {WithoutPosition().Replace(error.Message, "")}";
    }

    [GeneratedRegex("JSON property '([^']*)' could not be mapped")]
    private static partial Regex Unmapped();

    [GeneratedRegex("[Dd]uplicate property '([^']*)'")]
    private static partial Regex Duplicate();

    [GeneratedRegex("missing required properties including: (.*?)(?: Path:|$)")]
    private static partial Regex Missing();

    [GeneratedRegex(" Path: .*$", RegexOptions.Singleline)]
    private static partial Regex WithoutPosition();
}
