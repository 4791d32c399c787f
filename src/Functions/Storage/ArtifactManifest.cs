namespace RlhfFunctions.Storage;

/// <summary>Makes an artefact visible: what lies in it, and what its maker returned.</summary>
/// <param name="Files">The files, each with its hash.</param>
/// <param name="Result">What the activity that made it answers, now and whenever it is asked again.</param>
public sealed record ArtifactManifest<TResult>(IReadOnlyList<ArtifactFile> Files, TResult Result)
{
    /// <summary>
    /// Why this is not the manifest of the artefact at a path, or null. Names cannot lead out of a folder they are copied to, nor
    /// blobs out of the artefact, whoever wrote the manifest.
    /// </summary>
    public string? ProblemAt(string path)
    {
        if (Result is null || Files.Contains(null!)) return "does not say what it should";
        if (Files.FirstOrDefault(file => !IsPlain(file.Name)) is { } odd) return $"names a file \"{odd.Name}\", which is no plain name";
        if (Files.FirstOrDefault(file => !file.Blob.StartsWith(path + "/", StringComparison.Ordinal) || !IsPlain(file.Blob)) is { } foreign)
            return $"names the blob \"{foreign.Blob}\", which is none of this artefact's";
        if (Files.FirstOrDefault(file => file.Length < 0 || file.Sha256.Length != 64 || !file.Sha256.All(char.IsAsciiHexDigitLower)) is { } vague)
            return $"does not say how long \"{vague.Name}\" is and what its SHA-256";
        return Files.DistinctBy(file => file.Name, StringComparer.OrdinalIgnoreCase).Count() == Files.Count ? null : "names a file twice";
    }

    /// <summary>Folders and a name, of which none is empty or made of dots alone, or means something to a file system.</summary>
    private static bool IsPlain(string name)
    {
        return name.Split('/').All(part => part.Trim('.', ' ').Length > 0 && !part.Any(sign => sign is '\\' or ':' || char.IsControl(sign)));
    }
}

/// <summary>One file of an artefact.</summary>
/// <param name="Name">Its name inside the artefact.</param>
/// <param name="Blob">Where it lies; the path holds the attempt that wrote it.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Sha256">Lower-case hexadecimal.</param>
public sealed record ArtifactFile(string Name, string Blob, long Length, string Sha256);

/// <summary>An artefact about to be written: a function opens each file's content from the start.</summary>
public sealed record NewArtifact<TResult>(IReadOnlyDictionary<string, Func<Stream>> Files, TResult Result)
{
    /// <summary>Files that belong to the artefact and lie in storage already.</summary>
    public IReadOnlyList<ArtifactFile> Stored { get; init; } = [];

    public NewArtifact(IReadOnlyDictionary<string, byte[]> files, TResult result)
        : this(files.ToDictionary(file => file.Key, file => (Func<Stream>)(() => new MemoryStream(file.Value, writable: false))), result)
    {
    }
}
