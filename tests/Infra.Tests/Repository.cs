namespace RlhfFunctions.Infra.Tests;

/// <summary>The checkout that the tests run from.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    public static string Path(params string[] parts)
    {
        return System.IO.Path.Combine([Root, .. parts]);
    }

    public static string Read(params string[] parts)
    {
        return File.ReadAllText(Path(parts));
    }

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(System.IO.Path.Combine(folder.FullName, "host.json")) && File.Exists(System.IO.Path.Combine(folder.FullName, "LICENSE")))
                return folder.FullName;
        }

        throw new InvalidOperationException($"No folder above {AppContext.BaseDirectory} holds host.json and LICENSE.");
    }
}
