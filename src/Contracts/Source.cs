using System.Text.RegularExpressions;

namespace RlhfFunctions.Contracts;

/// <summary>Where a model or a data set is taken from. A request spells it as a string; only this type reads and writes that spelling.</summary>
public abstract partial record Source
{
    public const string File = "file:";

    public const string Blob = "blob:";

    public const string Hub = "hf:";

    /// <summary>What a string must match to be parsed.</summary>
    public const string Pattern = $"^(file:(?<file>.+)|blob:(?<blob>.+)|hf:datasets/{HubName}{HubDataRevision}/{HubFile}|hf:(?!datasets/){HubName}{HubRevision})$";

    public const string Rule = "must be \"file:…\" (a path on the host's disk), \"blob:…\" (a path in Blob storage), "
        + "\"hf:owner/name\" or \"hf:owner/name@revision\" (a model on the Hugging Face hub), "
        + "or \"hf:datasets/owner/name/file.csv\" (a file of a data set there; a revision goes after the name).";

    private const string HubName = "(?<name>[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*)";
    private const string HubRevision = "(@(?<revision>[A-Za-z0-9][A-Za-z0-9._/-]*))?";

    // A path follows, so of revisions with a slash only the hub's own kinds can be told from it.
    private const string HubDataRevision = "(@(?<revision>refs/(pr|convert)/[A-Za-z0-9._-]+|[A-Za-z0-9][A-Za-z0-9._-]*))?";
    private const string HubFile = "(?!([^/]*/)*\\.{0,2}(/|$))(?<path>[^@?#]+)";

    /// <summary>The place as other tools would name it: without the prefix, and a repository without its revision.</summary>
    public abstract string Name { get; }

    /// <exception cref="FormatException">The string does not match <see cref="Pattern"/>.</exception>
    public static Source Parse(string source)
    {
        var match = Spelling().Match(source);
        if (!match.Success) throw new FormatException($"The source \"{source}\" {Rule}");
        if (match.Groups["file"] is { Success: true } file) return new FileSource(file.Value);
        if (match.Groups["blob"] is { Success: true } blob) return new BlobSource(blob.Value.Trim('/'));
        string revision = match.Groups["revision"] is { Success: true } named ? named.Value : HubSource.DefaultRevision;
        return new HubSource(match.Groups["name"].Value, revision, match.Groups["path"] is { Success: true } path ? path.Value : null);
    }

    [GeneratedRegex(Pattern)]
    private static partial Regex Spelling();
}

/// <summary>A file or folder on the host's disk.</summary>
/// <param name="Path">Relative paths start at the app's file root.</param>
public sealed record FileSource(string Path) : Source
{
    public override string Name => Path;

    public override string ToString()
    {
        return File + Path;
    }
}

/// <summary>A blob or an artefact.</summary>
/// <param name="Path"><c>container/name</c></param>
public sealed record BlobSource(string Path) : Source
{
    public override string Name => Path;

    public override string ToString()
    {
        return Blob + Path;
    }
}

/// <summary>A model, or a file of a data set, on the Hugging Face hub or a server with its interface.</summary>
/// <param name="Repository"><c>owner/name</c></param>
/// <param name="Revision">A branch, a tag or a commit.</param>
/// <param name="DataFile">The file's path in a data set; null: the repository is a model.</param>
public sealed record HubSource(string Repository, string Revision = HubSource.DefaultRevision, string? DataFile = null) : Source
{
    public const string DefaultRevision = "main";

    public override string Name => DataFile is null ? Repository : $"datasets/{Repository}";

    public override string ToString()
    {
        string revision = Revision == DefaultRevision ? "" : $"@{Revision}";
        return Hub + Name + revision + (DataFile is null ? "" : $"/{DataFile}");
    }
}
