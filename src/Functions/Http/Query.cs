using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace RlhfFunctions.Http;

/// <summary>What an address says after its question mark.</summary>
internal static class Query
{
    /// <summary>Why something is done; kept with it.</summary>
    private const int LongestReason = 500;

    public static string? Text(this HttpRequest http, string name)
    {
        return http.Query[name] is [{ Length: > 0 } text] ? text : null;
    }

    /// <exception cref="ProblemException">It is too long.</exception>
    public static string? Reason(this HttpRequest http)
    {
        return http.Text("reason") is { Length: > LongestReason } text ? throw Wrong("reason", $"must not be longer than {LongestReason} characters, but has {text.Length}.") : http.Text("reason");
    }

    /// <exception cref="ProblemException">It is neither true nor false.</exception>
    public static bool Flag(this HttpRequest http, string name)
    {
        return http.Text(name) is { } text && (bool.TryParse(text, out bool flag) ? flag : throw Wrong(name, "must be true or false."));
    }

    /// <exception cref="ProblemException">It is no whole number between these.</exception>
    public static int Number(this HttpRequest http, string name, int least, int most, int otherwise)
    {
        if (http.Text(name) is not { } text) return otherwise;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= least && number <= most
            ? number
            : throw Wrong(name, $"must be a whole number between {least} and {most}.");
    }

    /// <exception cref="ProblemException">It is none of them.</exception>
    public static string? OneOf(this HttpRequest http, string name, IReadOnlyList<string> choices)
    {
        if (http.Text(name) is not { } text) return null;
        return choices.FirstOrDefault(choice => choice.Equals(text, StringComparison.OrdinalIgnoreCase)) ?? throw Wrong(name, $"must be one of {string.Join(", ", choices)}.");
    }

    private static ProblemException Wrong(string name, string problem)
    {
        return new ProblemException(Problem.Invalid("The address cannot be answered as it stands.", new Dictionary<string, string[]> { [name] = [problem] }));
    }
}
