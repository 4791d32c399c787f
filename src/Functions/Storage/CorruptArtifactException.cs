namespace RlhfFunctions.Storage;

/// <summary>A blob is not what its manifest says. It is named, and never used.</summary>
public sealed class CorruptArtifactException(string blob, string reason) : Exception(
    $"Blob {blob} {reason}. It was changed or lost after it was written: delete the artefact's manifest.json to have it made again, "
    + "or restore the blob.");
