namespace RlhfFunctions.Samples.Make;

/// <summary>Where the samples that ship are: the repository that holds this program.</summary>
internal static class Repository
{
    public static string Root { get; } = Find();

    private static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "RlhfFunctions.sln")))
                return folder.FullName;
        }
        return AppContext.BaseDirectory;
    }
}
