namespace RlhfFunctions.Contracts;

/// <summary>Where a model or a data set is taken from, as a request spells it.</summary>
public static class Source
{
    /// <summary>A file or folder on the host's disk; relative paths start at the app's file root.</summary>
    public const string File = "file:";

    /// <summary>A path in Blob storage, <c>container/name</c>.</summary>
    public const string Blob = "blob:";

    public const string Pattern = "^(file|blob):.+$";

    public const string Rule = "must begin with \"file:\" (a path on the host's disk) or \"blob:\" (a path in Blob storage).";
}
