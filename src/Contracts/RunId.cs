using System.Text.RegularExpressions;

namespace RlhfFunctions.Contracts;

/// <summary>A run's name is its orchestration's instance id and a blob prefix, so its alphabet is what both allow.</summary>
public static partial class RunId
{
    public const string Pattern = "^[a-z0-9][a-z0-9-]{0,62}$";

    public const string Rule = "must be 1 to 63 lower-case letters, digits or dashes, and begin with a letter or digit.";

    /// <summary>Whether a name is one that a run, a campaign, a reward model or an annotator may have.</summary>
    public static bool IsValid(string name)
    {
        return Spelling().IsMatch(name);
    }

    /// <summary>A new name that sorts by time: <c>run-20260131-235959-1a2b3c</c>.</summary>
    public static string New(DateTimeOffset now, string prefix = "run")
    {
        return $"{prefix}-{now.UtcDateTime:yyyyMMdd-HHmmss}-{Guid.NewGuid().ToString("n")[..6]}";
    }

    [GeneratedRegex(Pattern)]
    private static partial Regex Spelling();
}
