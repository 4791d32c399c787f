namespace RlhfFunctions.Functions.Tests;

internal static class Repository
{
    /// <summary>The folder with the solution, wherever the tests were built to.</summary>
    public static string Root { get; } = Find(AppContext.BaseDirectory);

    private static string Find(string folder) => File.Exists(Path.Combine(folder, "RlhfFunctions.sln"))
        ? folder
        : Find(Path.GetDirectoryName(folder) ?? throw new DirectoryNotFoundException("The tests do not run inside the repository."));
}
