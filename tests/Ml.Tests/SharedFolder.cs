namespace RlhfFunctions.Ml.Tests;

/// <summary>Finds files of this repository from wherever the tests run.</summary>
internal static class RepositoryRoot
{
    private static readonly Lazy<string> Root = new(Find);

    /// <summary>The absolute path of a file or folder given relative to the repository root.</summary>
    public static string Path(string relative) => System.IO.Path.GetFullPath(relative, Root.Value);

    private static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(System.IO.Path.Combine(folder.FullName, "RlhfFunctions.sln")))
                return folder.FullName;
        throw new DirectoryNotFoundException(
            $"No folder above {AppContext.BaseDirectory} holds RlhfFunctions.sln: run the tests from a build inside the repository.");
    }
}

/// <summary>
/// The folder of golden numbers and real data that is too large, or not ours, to ship with the repository.
/// Tests that use it carry <c>[Trait("Category", "Parity")]</c>.
/// </summary>
internal static class SharedFolder
{
    private static readonly string Root = RepositoryRoot.Path(
        Environment.GetEnvironmentVariable("RLHF_SHARED") is { Length: > 0 } named ? named : "../shared");

    /// <summary>The absolute path of a shared file or folder; skips the calling test where it is absent.</summary>
    public static string Path(string relative)
    {
        var path = System.IO.Path.Combine(Root, relative);
        Assert.SkipUnless(System.IO.Path.Exists(path), $"{path} is absent: point RLHF_SHARED at the folder of golden numbers to run this test.");
        return path;
    }
}
