namespace RlhfFunctions.Ml.Tests;

/// <summary>A folder of its own for a test, gone afterwards.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Root { get; } = Directory.CreateTempSubdirectory("rlhf-test-").FullName;

    public string Path(string file) => System.IO.Path.Combine(Root, file);

    /// <returns>The folder that now holds the file.</returns>
    public string Write(string name, string text)
    {
        File.WriteAllText(Path(name), text);
        return Root;
    }

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
