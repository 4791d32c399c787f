namespace RlhfFunctions.Storage;

/// <summary>Makes an artefact visible: what lies in it, and what its maker returned.</summary>
/// <param name="Files">The files, each with its hash.</param>
/// <param name="Result">What the activity that made it answers, now and whenever it is asked again.</param>
public sealed record ArtifactManifest<TResult>(IReadOnlyList<ArtifactFile> Files, TResult Result);

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
