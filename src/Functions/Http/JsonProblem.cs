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

        string where = string.IsNullOrEmpty(error.Path) || error.Path == "$" ? "" : $" (at {error.Path})";
        if (UnknownKind().Match(error.Message) is { Success: true } unknown)
            return $"The {RewardTerm.Discriminator} \"{unknown.Groups[1].Value}\" is not known{where}. It must be one of {Kinds}.";
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

    [GeneratedRegex("[Dd]uplicate (?:property )?'([^']*)'")]
    private static partial Regex Duplicate();

    [GeneratedRegex("unrecognized type discriminator id '([^']*)'")]
    private static partial Regex UnknownKind();

    [GeneratedRegex(@"Path: (\S+)")]
    private static partial Regex Place();

    [GeneratedRegex("missing required properties including: (.*?)(?: Path:|$)")]
    private static partial Regex Missing();

    [GeneratedRegex(" Path: .*$", RegexOptions.Singleline)]
    private static partial Regex WithoutPosition();
}
