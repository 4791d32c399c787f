using System.Text.RegularExpressions;
using RlhfFunctions.LocalHost.Hosting;

namespace RlhfFunctions.LocalHost.Triggers;

/// <summary>The path of a blob trigger, such as <c>dialogues/{name}.csv</c>: a container, and a pattern for names in it.</summary>
internal sealed class BlobPattern
{
    private readonly Regex _pattern;

    public BlobPattern(string path)
    {
        if (path.Split('/', 2) is not [{ Length: > 0 } container, { Length: > 0 } name])
            throw new UserErrorException($"The blob path '{path}' must be of the form container/{{name}}.");
        Container = container;
        // Every second piece is the inside of a pair of braces.
        var pieces = Regex.Split(name, @"\{(\w+)\}");
        Names = [.. pieces.Where((_, index) => index % 2 == 1)];
        _pattern = new($"^{string.Concat(pieces.Select((piece, index) => index % 2 == 1 ? $"(?<{piece}>.+)" : Regex.Escape(piece)))}$");
    }

    public string Container { get; }

    public IReadOnlyList<string> Names { get; }

    /// <summary>The values of the names for one blob; null when the blob is not meant.</summary>
    public IReadOnlyDictionary<string, object?>? Match(string blobName) => _pattern.Match(blobName) is { Success: true } match
        ? Names.ToDictionary(name => name, object? (name) => match.Groups[name].Value, StringComparer.OrdinalIgnoreCase)
        : null;
}
